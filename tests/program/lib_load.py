"""Calls that go on for as long as they are wanted, and the truth about those that were sent."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

from lib_cs import Office, Process, until

_WAVE_MS = 4000  # calls that begin within this time are sent by one process
_SENDER = ("--retry-503", "--retry-lost", "--timeout", "5")


def _rows(path: Path) -> list[dict[str, Any]]:
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


class Load:
    """Generated traffic, cut between calls into waves; each has a sender, several overlap.

    Use it as a context manager round what needs the load, then call finish() once.
    """

    def __init__(self, office: Office, calls_max: int, rate: float, seed: int) -> None:
        self.office = office
        self.folder = office.generate(calls_max, seed=seed, rate=rate, bad=0)
        self.waves = self._cut(_rows(self.folder / "traffic.jsonl"))
        self.sent: list[tuple[Process, Path]] = []
        self.failure = ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @staticmethod
    def _cut(requests: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
        wave_of: dict[str, int] = {}
        waves: list[list[dict[str, Any]]] = []
        for request in requests:  # in the order of at_ms
            at = wave_of.setdefault(request["call"], request["at_ms"] // _WAVE_MS)
            waves += [[] for _ in range(at + 1 - len(waves))]
            waves[at].append({**request, "at_ms": request["at_ms"] - at * _WAVE_MS})
        return waves

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)

    def _run(self) -> None:
        began = time.monotonic()
        for at, wave in enumerate(self.waves):
            if self._over.wait(max(0.0, began + at * _WAVE_MS / 1000 - time.monotonic())):
                return
            folder = self.folder / f"wave-{at}"
            folder.mkdir()
            _write(folder / "traffic.jsonl", wave)
            self.sent.append((self.office.send(*_SENDER, wait=False, wave=folder), folder / "answers.jsonl"))
        self.failure = "the load has ended before the points were hit"

    def finish(self) -> None:
        """Waits for every answer; then the office's traffic is what was sent."""
        until("the senders' end", 120, lambda: not any(process.running() for process, _ in self.sent))
        answers = [row for _, log in self.sent for row in _rows(log)]
        _write(self.office.folder / "answers.jsonl", answers)
        numbers = {request["n"] for wave in self.waves[: len(self.sent)] for request in wave}
        calls = {request["call"] for wave in self.waves[: len(self.sent)] for request in wave}
        wanted = {"run": lambda _: True, "request": lambda r: r["n"] in numbers, "call": lambda r: r["id"] in calls}
        truth = [row for row in _rows(self.folder / "truth.jsonl") if wanted[row["type"]](row)]
        folder = self.folder / "sent"
        folder.mkdir()
        _write(folder / "truth.jsonl", truth)
        self.office.traffic = folder
