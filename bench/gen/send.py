#!/usr/bin/env python3
"""Sends a traffic file over HTTP as the vendor would, and writes down every answer.

A call keeps to one connection, so its requests arrive in the order of the file. Like the vendor,
nothing is sent again, unless asked for: --retry-503 (no durable place just now) and --retry-lost
(no answer: the server was killed or stopped).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

sys.path[0] = str(Path(__file__).resolve().parents[1])

from gen.client import Answer, Connection  # noqa: E402
from gen.request import Request  # noqa: E402

_TRIES_MAX = 120
_PAUSE_MAX_S = 5.0


@dataclass
class Settings:
    """How to send."""

    host: str
    port: int
    prefix: str
    connections: int
    rate: float  # requests per second; 0: as the file's offsets say; below 0: no pacing
    timeout_s: float
    retry_503: bool
    retry_lost: bool


@dataclass
class Tally:
    """What has been answered so far."""

    statuses: Counter[int] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)
    retries: int = 0

    def percentile(self, share: float) -> float:
        """Latency that this share of the requests stayed within."""
        if not self.latencies_ms:
            return 0.0
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def encode(request: Request, settings: Settings) -> bytes:
    """The bytes of one request."""
    target = request.target(settings.prefix)
    lines = [f"{request.method} {target} HTTP/1.1", f"Host: {settings.host}:{settings.port}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    if request.body or request.method != "GET":
        lines.append(f"Content-Length: {len(request.body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + request.body


class Sender:
    """Spreads requests over connections and keeps the log."""

    def __init__(self, settings: Settings, log: TextIO) -> None:
        self.settings = settings
        self.log = log
        self.tally = Tally()
        self.total = 0
        self._began = 0.0

    async def run(self, requests: list[Request]) -> None:
        """Returns when every request has been answered or given up."""
        self.total = len(requests)
        lanes: list[list[Request]] = [[] for _ in range(self.settings.connections)]
        for request in requests:
            lanes[zlib.crc32(request.call.encode()) % len(lanes)].append(request)
        self._began = time.monotonic()
        progress = asyncio.create_task(self._progress())
        try:
            await asyncio.gather(*(self._lane(lane) for lane in lanes if lane))
        finally:
            progress.cancel()
        self._show(end="\n")

    async def _lane(self, requests: list[Request]) -> None:
        connection = Connection(self.settings.host, self.settings.port, self.settings.timeout_s)
        for request in requests:
            delay = self._due(request) - (time.monotonic() - self._began)
            if delay > 0:
                await asyncio.sleep(delay)
            await self._send(connection, request)
        connection.close()

    def _due(self, request: Request) -> float:
        rate = self.settings.rate
        if rate < 0:
            return 0.0
        return request.n / rate if rate else request.at_ms / 1000

    async def _send(self, connection: Connection, request: Request) -> None:
        data = encode(request, self.settings)
        sent_at = time.time()
        begin = time.perf_counter()
        tries = 0
        while True:
            tries += 1
            answer = await connection.exchange(data)
            if tries >= _TRIES_MAX or not self._wants_retry(answer):
                break
            self.tally.retries += 1
            await asyncio.sleep(_pause(answer, tries))
        ms = (time.perf_counter() - begin) * 1000
        self._note(request, answer, sent_at, ms, tries)

    def _wants_retry(self, answer: Answer) -> bool:
        if answer.status == 0:
            return self.settings.retry_lost
        return answer.status == 503 and self.settings.retry_503

    def _note(self, request: Request, answer: Answer, sent_at: float, ms: float, tries: int) -> None:
        self.tally.statuses[answer.status] += 1
        self.tally.latencies_ms.append(ms)
        row: dict[str, Any] = {
            "n": request.n,
            "status": answer.status,
            "ms": round(ms, 3),
            "sent_at": round(sent_at * 1000),
            "tries": tries,
        }
        if answer.error:
            row["error"] = answer.error
        elif answer.status != 200:
            row["answer"] = answer.body[:200].decode("utf-8", "replace")
        self.log.write(json.dumps(row) + "\n")

    async def _progress(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._show()

    def _show(self, end: str = "") -> None:
        done = sum(self.tally.statuses.values())
        spent = max(time.monotonic() - self._began, 1e-3)
        statuses = " ".join(f"{s}:{n}" for s, n in sorted(self.tally.statuses.items()))
        mark = "\r" if sys.stderr.isatty() else ""
        line = f"{mark}sent {done}/{self.total}  {done / spent:.0f}/s  {statuses}"
        print(line, end=end or ("" if mark else "\n"), file=sys.stderr, flush=True)

    def summary(self) -> dict[str, Any]:
        """One object for scripts."""
        spent = time.monotonic() - self._began
        return {
            "requests": self.total,
            "statuses": {str(s): n for s, n in sorted(self.tally.statuses.items())},
            "retries": self.tally.retries,
            "wall_s": round(spent, 3),
            "per_s": round(self.total / max(spent, 1e-3), 1),
            "p50_ms": round(self.tally.percentile(0.5), 3),
            "p99_ms": round(self.tally.percentile(0.99), 3),
        }


def _pause(answer: Answer, tries: int) -> float:
    asked = answer.headers.get("retry-after", "")
    if asked.isdigit():
        return min(float(asked), _PAUSE_MAX_S)
    return min(0.05 * 2 ** min(tries, 6), _PAUSE_MAX_S)


def read_traffic(path: str) -> Iterator[Request]:
    """The requests of a traffic file."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            yield Request.from_json(json.loads(line))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    cli = argparse.ArgumentParser(prog="send.py", description=__doc__)
    cli.add_argument("traffic", help="traffic.jsonl")
    cli.add_argument("--to", required=True, help="http://127.0.0.1:8080[/hooks]")
    cli.add_argument("--log", required=True, help="where every answer is written, JSON lines")
    cli.add_argument("-c", "--connections", type=int, default=64)
    cli.add_argument("--rate", type=float, default=0.0, help="per second instead of the offsets")
    cli.add_argument("--flat-out", action="store_true", help="no pacing at all")
    cli.add_argument("--timeout", type=float, default=10.0, help="seconds for one answer")
    cli.add_argument("--retry-503", action="store_true")
    cli.add_argument("--retry-lost", action="store_true")
    return cli


def settings_from(args: argparse.Namespace) -> Settings:
    """The settings of a command line."""
    url = urlsplit(args.to)
    if url.scheme != "http" or not url.hostname:
        raise SystemExit(f"send.py: --to {args.to}: http://HOST:PORT wanted")
    return Settings(
        host=url.hostname,
        port=url.port or 80,
        prefix=url.path.rstrip("/") or "/hooks",
        connections=max(1, args.connections),
        rate=-1.0 if args.flat_out else args.rate,
        timeout_s=args.timeout,
        retry_503=args.retry_503,
        retry_lost=args.retry_lost,
    )


def main(argv: list[str] | None = None) -> int:
    """Exit 0 when every request got an answer, whatever it was; 3 when some got none."""
    args = parser().parse_args(argv)
    requests = list(read_traffic(args.traffic))
    with open(args.log, "w", encoding="utf-8", buffering=1 << 16) as log:
        sender = Sender(settings_from(args), log)
        asyncio.run(sender.run(requests))
    print(json.dumps(sender.summary()))
    return 3 if sender.tally.statuses[0] else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
