"""A CRM double inside the test: each path is a sink, whose mood is a function of the test's.

A mood gets (webhook-id, how many times it has come before) and returns a status, or one of the words
below. What arrived is kept with its time, so that a test can look for it. Signatures are verified as
the Standard Webhooks specification says; a wrong one is kept too, in `bad`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANG = "hang"  # reads the request, never answers
LOSE = "lose"  # applies it, then closes without an answer
LATE = "late"  # applies it, answers after the client has given up
Mood = Callable[[str, int], "int | str"]


@dataclass
class Arrival:
    """One request."""

    at: float
    ident: str
    revision: int
    body: bytes
    outcome: int | str


def well(_ident: str, _seen: int) -> int:
    """A CRM on a good day."""
    return 200


class Double:
    """Many CRMs at one address."""

    def __init__(self, secrets: list[str], late_s: float = 4.0) -> None:
        self.secrets = secrets
        self.late_s = late_s
        self.moods: dict[str, Mood] = {}
        self.arrivals: dict[str, list[Arrival]] = defaultdict(list)
        self.bad: list[str] = []
        self.lock = threading.Lock()
        self.over = threading.Event()
        double = self

        class Handler(BaseHTTPRequestHandler):
            """Hands each request to the double."""

            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                """Answers as the mood of the path says."""
                double.serve(self)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        class Server(ThreadingHTTPServer):
            """Threads that do not hold up the end, a queue for many at once."""

            daemon_threads = True
            block_on_close = False
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                """A client that went away is what some moods are about."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stops; those who hang are let go."""
        self.over.set()
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self) -> "Double":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- one request ---

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        """Verified, kept, answered."""
        sink = request.path.strip("/")
        body = request.rfile.read(int(request.headers["content-length"]))
        ident = request.headers.get("webhook-id", "")
        self._verify(request, ident, body)
        with self.lock:
            seen = sum(a.ident == ident for a in self.arrivals[sink])
            outcome = self.moods.get(sink, well)(ident, seen)
            revision = int(json.loads(body)["revision"])
            self.arrivals[sink].append(Arrival(time.monotonic(), ident, revision, body, outcome))
        self._answer(request, outcome)

    def _verify(self, request: BaseHTTPRequestHandler, ident: str, body: bytes) -> None:
        stamp = request.headers.get("webhook-timestamp", "")
        record = json.loads(body)
        given = request.headers.get("webhook-signature", "").split(" ")
        wanted = [sign(secret, ident, stamp, body) for secret in self.secrets]
        problems = []
        if given != wanted:
            problems.append("signature")
        if not stamp.isdigit() or abs(time.time() - int(stamp)) > 60:
            problems.append("time stamp")
        if ident != f"{record['id']}-{record['revision']}":
            problems.append("id")
        if request.headers.get("content-type") != "application/json":
            problems.append("type")
        if not request.headers.get("user-agent", "").startswith("callstream/"):
            problems.append("agent")
        self.bad.extend(problems)

    def _answer(self, request: BaseHTTPRequestHandler, outcome: int | str) -> None:
        if outcome == LATE:
            self.over.wait(self.late_s)
            outcome = 200
        if outcome == HANG:
            self.over.wait(60)
        if isinstance(outcome, str):
            request.close_connection = True
            request.connection.shutdown(socket.SHUT_RDWR)
            return
        request.send_response(outcome)
        request.send_header("Content-Length", "0")
        request.end_headers()

    # --- what arrived ---

    def applied(self, sink: str) -> list[Arrival]:
        """What that CRM took over, in its order."""
        with self.lock:
            return [a for a in self.arrivals[sink] if a.outcome in (200, LOSE, LATE)]

    def newest(self, sink: str) -> dict[str, int]:
        """The highest revision that it knows of each call."""
        found: dict[str, int] = {}
        for arrival in self.applied(sink):
            call = arrival.ident.rpartition("-")[0]
            found[call] = max(found.get(call, 0), arrival.revision)
        return found

    def went_back(self, sink: str) -> list[str]:
        """Calls of which a first telling of an older revision came after a newer one."""
        newest: dict[str, int] = {}
        found = []
        with self.lock:
            arrivals = list(self.arrivals[sink])
        for arrival in arrivals:
            call = arrival.ident.rpartition("-")[0]
            if arrival.revision < newest.get(call, 0):
                found.append(arrival.ident)
            newest[call] = max(newest.get(call, 0), arrival.revision)
        return found

    def bodies_differ(self, sink: str) -> list[str]:
        """Webhook ids that came with more than one body."""
        bodies: dict[str, set[bytes]] = defaultdict(set)
        for arrival in self.arrivals[sink]:
            bodies[arrival.ident].add(arrival.body)
        return [ident for ident, different in bodies.items() if len(different) > 1]


def sign(secret: str, ident: str, stamp: str, body: bytes) -> str:
    """A signature of the header, by the specification's words."""
    key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
    mac = hmac.new(key, f"{ident}.{stamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(mac.digest()).decode()


def json_lines(path: Any) -> list[dict[str, Any]]:
    """The lines of a file that are JSON; torn ones are left out."""
    found = []
    for line in path.read_bytes().split(b"\n"):
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found
