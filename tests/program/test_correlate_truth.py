"""`callstream correlate --stdin` against the independent fold: all calls of generated traffic at once.

The events are the independent reader's, so what differs here differs in correlation and fold alone.
"""

from __future__ import annotations

import copy
import json
import os
import random
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any

from lib_cs import BINARY  # puts bench/ on the path

from gen import times  # noqa: E402
from gen.disturb import Shares  # noqa: E402
from gen.gen import write  # noqa: E402
from gen.traffic import Plan, Run, make  # noqa: E402

LONG = bool(os.environ.get("CALLSTREAM_LONG"))
CALLS = 20_000 if LONG else 2000
HEAD = 'kafka: {brokers: "127.0.0.1:1"}\n'
NOT_OF_THE_SET = ("revision", "complete", "notes")


def known(record: dict[str, Any], undecided: list[str]) -> dict[str, Any]:
    """The record without what no independent reader can predict."""
    row = copy.deepcopy(record)
    row.pop("revision", None)
    for path in undecided:
        outer, _, inner = path.partition(".")
        if not inner:
            row.pop(outer, None)
            continue
        held = row.get(outer.removesuffix("[]"), ())
        for part in held if isinstance(held, list) else [held] if held else []:
            part.pop(inner, None)
    if row.get("cause") == {}:
        del row["cause"]
    return row


class Correlate(unittest.TestCase):
    """Events in, the records that must come out."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="callstream-test-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.seed = int(os.environ.get("CALLSTREAM_SEED") or 11)

    def traffic(self, no_end: float) -> Run:
        """A run, its accounts in the config."""
        start = times.from_iso("2026-03-14T10:15:02.000Z")
        shares = Shares(no_end=no_end)
        run = make(Plan(seed=self.seed, calls=CALLS, start_at_ms=start, shares=shares))
        write(run, self.folder)
        accounts = (self.folder / "accounts.yaml").read_text(encoding="utf-8")
        (self.folder / "callstream.yaml").write_text(HEAD + accounts, encoding="utf-8")
        return run

    def correlate(self, events: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """The last revision of each call, by its id."""
        lines = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events)
        done = subprocess.run(
            [BINARY, "correlate", "--stdin", "--config", self.folder / "callstream.yaml"],
            input=lines.encode(),
            capture_output=True,
            timeout=120,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        records = [json.loads(line) for line in done.stdout.splitlines()]
        starts = [record["started_at"] for record in records]
        self.assertEqual(starts, sorted(starts), "records come in order of their start")
        self.assertEqual(len({record["id"] for record in records}), len(records), "one a call")
        return {record["id"]: record for record in records}

    def test_generated_calls(self) -> None:
        """Every record equals the truth, and any other order of the events gives the same."""
        run = self.traffic(no_end=0.1)
        events = [row["event"] for row in run.request_truth if "event" in row]
        records = self.correlate(events)
        self.assertEqual(len(records), len(run.call_truth))
        for call in run.call_truth:
            undecided = call["open"]
            with self.subTest(call=call["call_session_id"], story=call["story"], seed=self.seed):
                self.assertEqual(
                    known(records[call["id"]], undecided), known(call["record"], undecided)
                )
        random.Random(self.seed).shuffle(events)
        shuffled = self.correlate(events)
        self.assertEqual(records.keys(), shuffled.keys())
        for ident, record in records.items():
            with self.subTest(call=ident, seed=self.seed):
                self.assertEqual(
                    known(record, list(NOT_OF_THE_SET)), known(shuffled[ident], list(NOT_OF_THE_SET))
                )


if __name__ == "__main__":
    unittest.main()
