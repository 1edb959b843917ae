#!/usr/bin/env python3
"""A CRM that takes webhooks as strictly as one may, and is as unreliable as one is.

It verifies the signature (Standard Webhooks), the age of the time stamp, the id and the form of the
record, and refuses what does not fit. From a seed it answers 500, hangs, or applies a record and closes the
connection without an answer. Every request is a JSON line in the log. The secret is in $CRM_SECRET.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import hmac
import json
import os
import random
import re
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

sys.path[0] = str(Path(__file__).resolve().parent)

_AGE_MAX_S = 300
_HEAD_MAX = 16_384
_BODY_MAX = 4 << 20
_ID = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-([1-9][0-9]*)")
_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 405: "Method Not Allowed", 500: "Internal Server Error"}


def key_of(secret: str) -> bytes:
    """The bytes behind a secret as config writes it."""
    if secret.startswith("whsec_"):
        return base64.b64decode(secret[len("whsec_") :], validate=True)
    return secret.encode()


def signature(key: bytes, ident: str, stamp: str, body: bytes) -> str:
    """One signature of the header webhook-signature."""
    mac = hmac.new(key, f"{ident}.{stamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(mac.digest()).decode()


@dataclass(frozen=True)
class Moods:
    """Shares of the requests that get something else than an honest answer."""

    errors: float = 0.0
    hangs: float = 0.0
    losses: float = 0.0
    hang_s: float = 15.0


@dataclass
class Request:
    """One request, read whole."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Crm:
    """What this CRM knows, and what it thinks of what it is told."""

    key: bytes
    moods: Moods
    rng: random.Random
    log: TextIO
    counts: Counter[str] = field(default_factory=Counter)
    bodies: dict[str, bytes] = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=dict)

    def objection(self, request: Request) -> tuple[int, str] | None:
        """Status and reason for what a strict receiver refuses."""
        headers = request.headers
        if request.method != "POST":
            return 405, "method"
        if headers.get("content-type", "").split(";")[0].strip() != "application/json":
            return 400, "content type"
        ident, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not _ID.fullmatch(ident):
            return 400, "webhook-id"
        if not stamp.isdigit() or abs(time.time() - int(stamp)) > _AGE_MAX_S:
            return 400, "webhook-timestamp"
        wanted = signature(self.key, ident, stamp, request.body)
        given = headers.get("webhook-signature", "").split(" ")
        if not any(hmac.compare_digest(wanted, one) for one in given):
            return 401, "signature"
        return self._about_body(ident, request.body)

    def _about_body(self, ident: str, body: bytes) -> tuple[int, str] | None:
        try:
            record = json.loads(body)
        except ValueError:
            return 400, "no JSON"
        match = _ID.fullmatch(ident)
        if match is None or record.get("schema") != "callstream.call/1":
            return 400, "schema"
        if record.get("id") != match[1] or record.get("revision") != int(match[2]):
            return 400, "id and revision are not those of webhook-id"
        if self.bodies.get(ident, body) != body:
            return 400, "another body under a known webhook-id"
        return None

    def apply(self, ident: str, body: bytes) -> str:
        """Takes a record over; what it was: new, repeated, or older than what is known."""
        call, _, revision = ident.rpartition("-")
        if ident in self.bodies:
            return "repeated"
        self.bodies[ident] = body
        if int(revision) < self.newest.get(call, 0):
            return "older"
        self.newest[call] = int(revision)
        return "new"

    async def answer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Answers one request; False when the connection is over."""
        refused = self.objection(request)
        if refused:
            self._note(request, refused[0], f"refused: {refused[1]}")
            await self._send(writer, refused[0], {"error": refused[1]})
            return True
        mood = self.rng.random()
        moods = self.moods
        if mood < moods.errors:
            self._note(request, 500, "error")
            await self._send(writer, 500, {"error": "a bad day"})
            return True
        if mood < moods.errors + moods.hangs:
            self._note(request, 0, "hang")
            await asyncio.sleep(moods.hang_s)
            return False
        what = self.apply(request.headers["webhook-id"], request.body)
        if mood < moods.errors + moods.hangs + moods.losses:
            self._note(request, 0, what, "lost answer")
            return False
        self._note(request, 200, what)
        await self._send(writer, 200, {"ok": True})
        return True

    def _note(self, request: Request, status: int, what: str, more: str = "") -> None:
        self.counts[what.split(":")[0]] += 1
        row = {
            "at_ms": round(time.time() * 1000),
            "id": request.headers.get("webhook-id", ""),
            "status": status,
            "what": what,
            "sha256": hashlib.sha256(request.body).hexdigest(),
        }
        if more:
            row["more"] = more
        if what in ("new", "older"):
            row["body"] = request.body.decode()
        self.log.write(json.dumps(row, ensure_ascii=False) + "\n")
        self.log.flush()

    @staticmethod
    async def _send(writer: asyncio.StreamWriter, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        head = f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection; None at its end. Raises ValueError for nonsense."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    size = int(headers.get("content-length", "0"))
    if not 0 <= size <= _BODY_MAX:
        raise ValueError("body too large")
    return Request(method, path, headers, await reader.readexactly(size))


async def serve(crm: Crm, host: str, port: int) -> None:
    """Until SIGTERM or SIGINT."""
    done = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, done.set)

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_request(reader)) is not None:
                if not await crm.answer(request, writer):
                    break
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            crm.counts["broken"] += 1
        except asyncio.CancelledError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connection, host, port, limit=_HEAD_MAX, backlog=512)
    print(f"{host}:{server.sockets[0].getsockname()[1]}", flush=True)
    await done.wait()
    server.close()


def main() -> int:
    """The command line; prints HOST:PORT once it listens."""
    cli = argparse.ArgumentParser(prog="crm.py", description=__doc__)
    cli.add_argument("--listen", default="127.0.0.1:0")
    cli.add_argument("--log", required=True)
    cli.add_argument("--seed", type=int, default=1)
    cli.add_argument("--errors", type=float, default=0.0, help="share of requests answered 500")
    cli.add_argument("--hangs", type=float, default=0.0, help="share never answered")
    cli.add_argument("--losses", type=float, default=0.0, help="share applied, then not answered")
    cli.add_argument("--hang-seconds", type=float, default=15.0)
    args = cli.parse_args()
    host, _, port = args.listen.rpartition(":")
    moods = Moods(args.errors, args.hangs, args.losses, args.hang_seconds)
    with open(args.log, "a", encoding="utf-8") as log:
        crm = Crm(key_of(os.environ["CRM_SECRET"]), moods, random.Random(args.seed), log)
        asyncio.run(serve(crm, host, int(port)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
