"""What the tests of ingest share: one ingest process with its folder, requests, and what the topics have."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib_cs import BENCH, BINARY, Process, free_port, get, until

sys.path.insert(0, str(BENCH))

from gen.client import Answer, Connection  # noqa: E402

NO_LEAK_CHECK = {"ASAN_OPTIONS": "detect_leaks=0"}  # it cannot run beside strace
TOKEN = "sesame-0123456789"

_CONFIG = """
kafka: {{brokers: "{brokers}", topic_prefix: "{prefix}", partitions: 4, replication: 1}}
ingest: {{listen: "127.0.0.1:{port}", spool_dir: "{folder}/spool", ack: {ack}, {more}}}
drain: 10s
accounts:
  - {{name: acme, source: callgear, timezone: Europe/Moscow, token: {token}, recordings: never}}
"""


def body(call: str, leg: int, pad: int = 0, filler: str = "p") -> bytes:
    """A notification: leg of that number rings. pad: more characters, of filler."""
    fields: dict[str, Any] = {
        "notification_mnemonic": "call_proceeding",
        "call_session_id": call,
        "leg_id": str(leg),
        "notification_time": "2026-03-14 10:15:02",
        "virtual_phone_number": "74951234567",
        "contact_phone_number": "79161234567",
        "direction": "in",
    }
    if pad:
        fields["pad"] = (filler * (pad // len(filler) + 1))[:pad]
    return json.dumps(fields).encode()


def request(content: bytes, token: str = TOKEN) -> bytes:
    """The bytes of one webhook."""
    head = f"POST /hooks/acme/{token} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
    return head.encode() + f"Content-Length: {len(content)}\r\n\r\n".encode() + content


@dataclass
class Sent:
    """One request and how it was answered; status 0: not at all."""

    call: str
    leg: int
    status: int
    seconds: float
    body: bytes = b""


class Desk:
    """A folder, a config and one ingest process; everything ends with it."""

    def __init__(self, brokers: str | None = None, ack: str = "spool", more: str = "keep_raw: true") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="callstream-ingest-"))
        self.brokers = brokers or os.environ["CALLSTREAM_BROKERS"]
        self.prefix = f"i{os.getpid()}-{random.SystemRandom().randrange(1 << 30):x}."
        self.port = free_port()
        self.admin = f"127.0.0.1:{free_port()}"
        self.config = self.folder / "callstream.yaml"
        self.process: Process | None = None
        self.helpers: list[subprocess.Popen[bytes]] = []
        self.write(ack, more)

    def write(self, ack: str, more: str) -> None:
        """The config."""
        text = _CONFIG.format(
            brokers=self.brokers,
            prefix=self.prefix,
            port=self.port,
            folder=self.folder,
            ack=ack,
            more=more,
            token=TOKEN,
        )
        self.config.write_text(text, encoding="utf-8")

    def __enter__(self) -> "Desk":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for helper in self.helpers:
            helper.send_signal(signal.SIGINT)
            helper.wait(20)
        if self.process:
            if kind is not None:
                print(f"--- log of ingest\n{self.process.tail()}", file=sys.stderr)
            self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def launch(self, *before: str, **env: str) -> Process:
        """Starts ingest, behind the words of before, with which it ends."""
        if before:
            before = (*before, "setpriv", "--pdeathsig", "KILL")
        words = [*before, str(BINARY), "run", "ingest", "--admin", self.admin, "--config", str(self.config)]
        process = Process(words, self.folder / "ingest.log", env)
        self.process = process
        return process

    def start(self, *before: str, **env: str) -> Process:
        """The same, and waits until it is ready."""
        process = self.launch(*before, **env)
        until("ingest ready", 30, lambda: self.readyz()[0] == 200 or not process.running())
        if not process.running():
            raise AssertionError(process.tail())
        return process

    def readyz(self) -> tuple[int, str]:
        """Status and reason."""
        return get(f"http://{self.admin}/readyz")

    def metric(self, name: str) -> float:
        """The sum of a metric's series."""
        _, text = get(f"http://{self.admin}/metrics", 5)
        rows = [line for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name]
        return sum(float(row.rpartition(" ")[2]) for row in rows)

    def watch_syncs(self) -> Path:
        """strace at the running process; the file has a line for each sync."""
        assert self.process
        out = self.folder / "syncs"
        words = ["strace", "-f", "-qq", "-e", "trace=fdatasync,fsync", "-o", str(out), "-p", str(self.process.pid)]
        self.helpers.append(subprocess.Popen(words, stderr=subprocess.DEVNULL))
        status = Path(f"/proc/{self.process.pid}/status")
        until("strace", 20, lambda: "TracerPid:\t0\n" not in status.read_text())
        until("strace at all threads", 20, self._all_traced)
        return out

    def _all_traced(self) -> bool:
        assert self.process
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/status")
        return all("TracerPid:\t0\n" not in task.read_text() for task in tasks)

    # --- requests ---

    async def exchange(self, connection: Connection, call: str, leg: int, **more: Any) -> Sent:
        """One request on a connection."""
        began = time.perf_counter()
        answer: Answer = await connection.exchange(request(body(call, leg, more.get("pad", 0))))
        return Sent(call, leg, answer.status, time.perf_counter() - began, answer.body)

    def connection(self, timeout_s: float = 30) -> Connection:
        """A connection to ingest."""
        return Connection("127.0.0.1", self.port, timeout_s)

    async def lane(self, call: str, legs: Iterable[int], pause: float = 0, patient: bool = False) -> list[Sent]:
        """The requests of one call, one after the other; patient: each again until it is answered."""
        connection = self.connection()
        sent = []
        for leg in legs:
            answer = await self.exchange(connection, call, leg)
            while patient and answer.status == 0:
                await asyncio.sleep(0.05)
                answer = await self.exchange(connection, call, leg)
            sent.append(answer)
            if pause:
                await asyncio.sleep(pause)
        connection.close()
        return sent

    # --- what came out ---

    def topic(self, name: str) -> list[dict[str, Any]]:
        """All messages of a topic, partition by partition in their order."""
        words = ["kcat", "-b", self.brokers, "-C", "-e", "-q", "-t", self.prefix + name, "-o", "beginning"]
        done = subprocess.run(words, capture_output=True, timeout=30, check=False)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def legs(self) -> dict[str, list[int]]:
        """Per call the legs in the order of their first event."""
        found: dict[str, list[int]] = {}
        for event in self.topic("events"):
            legs = found.setdefault(event["call_session_id"], [])
            if int(event["leg_id"]) not in legs:
                legs.append(int(event["leg_id"]))
        return found

    def drained(self, seconds: float = 60) -> None:
        """Waits until the spool is empty."""
        until("an empty spool", seconds, lambda: self.metric("callstream_spool_records") == 0)
