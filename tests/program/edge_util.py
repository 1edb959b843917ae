"""What the tests of the network edge share: raw sockets, answers, one ingest that is looked at from outside."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

from ingest_util import Desk, body, request
from lib_cs import get, until

from gen.client import parse_answer

NOBODY = "127.0.0.1:1"  # no broker there: whatever is durable stays in the spool and can be counted
QUARANTINE = 8 << 20  # what the address sanitizer may hold back of what was freed
SANITIZER = {"ASAN_OPTIONS": f"quarantine_size_mb={QUARANTINE >> 20}:allocator_release_to_os_interval_ms=0"}
WAIT = 30.0
DRAIN = 25.0
WORST = 5.0  # of an answer to those who do no harm; 1 s is what we promise, a busy machine stands still itself


class Edge(Desk):
    """One ingest without a broker; at its end it stops in order, without leaks, and everything is given back."""

    def __init__(self, more: str = "keep_raw: true") -> None:
        super().__init__(brokers=NOBODY, more=more)
        self.descriptors_before = 0
        self.records_before = 0

    def __exit__(self, kind: object, *rest: object) -> None:
        try:
            if kind is None:
                self.finish()
        except BaseException as error:
            super().__exit__(type(error), *rest)
            raise
        super().__exit__(kind, *rest)

    def open(self, *before: str) -> "Edge":
        """Starts it; a first request has opened the spool's file."""
        self.start(*before, **SANITIZER)
        self.one()
        until("no connection", WAIT, lambda: self.connections() == 0)
        self.descriptors_before, self.records_before = self.descriptors(), self.records()
        return self

    def finish(self) -> None:
        """All connections have gone: it serves, has what it had, and ends."""
        until("no connection", WAIT, lambda: self.connections() == 0)
        until("descriptors", WAIT, lambda: self.descriptors() <= self.descriptors_before)
        self.one()
        assert self.process
        code = self.process.stop(DRAIN)
        log = self.process.log.read_text(errors="replace")
        assert code == 0 and "Sanitizer" not in log, log[-8000:]

    def one(self) -> None:
        """A request on a connection of its own."""
        with self.dial() as sock:
            sock.sendall(request(body("one", 1)))
            assert [a.status for a in answers(sock, 1)] == [200]

    def dial(self, source: str = "127.0.0.1") -> socket.socket:
        """A connection that sends each piece at once."""
        sock = socket.create_connection(("127.0.0.1", self.port), WAIT, (source, 0))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    # --- from outside ---

    def descriptors(self) -> int:
        """How many the process has open."""
        assert self.process
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def memory(self, what: str = "VmRSS") -> int:
        """Bytes; VmHWM: at most since peak_from_here."""
        assert self.process
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.partition(f"{what}:")[2].split()[0]) << 10

    def peak_from_here(self) -> int:
        """Forgets the peak; the bytes now."""
        assert self.process
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        return self.memory()

    def counted(self, name: str, **labels: str) -> int:
        """The sum of the series of a metric with these labels."""
        status, text = get(f"http://{self.admin}/metrics", WAIT)
        assert status == 200
        total = 0.0
        for line in text.splitlines():
            series, _, value = line.rpartition(" ")
            if series.split("{")[0] == name and all(f'{k}="{v}"' in series for k, v in labels.items()):
                total += float(value)
        return int(total)

    def connections(self) -> int:
        """Open ones."""
        return self.counted("callstream_ingest_connections")

    def closed(self, reason: str) -> int:
        """Ended for that reason."""
        return self.counted("callstream_ingest_connections_closed_total", reason=reason)

    def answered(self) -> dict[int, int]:
        """How often each status was answered, as the metrics have it."""
        return {s: self.counted("callstream_ingest_requests_total", answer=str(s)) for s in STATUSES}

    def records(self) -> int:
        """Durable ones since open."""
        return self.counted("callstream_spool_records") - self.records_before


STATUSES = (200, 400, 403, 404, 405, 413, 417, 429, 431, 503)


def answers(sock: socket.socket, n: int | None) -> list[Any]:
    """The next n answers, or (None) all until the end; 100 is none. A HEAD's has no body."""
    data, found = bytearray(), []
    while n is None or len(found) < n:
        answer, used = parse_answer(data)
        if answer:
            del data[:used]
            if answer.status != 100:
                found.append(answer)
            continue
        piece = sock.recv(65536)
        if not piece:
            break
        data += piece
    if n is None and b"\r\n\r\n" in data:
        found.append(parse_answer(data.replace(b"Content-Length: ", b"X: "))[0])
    assert n is None or len(found) == n, f"{len(found)} answers, not {n}; then {bytes(data)!r}"
    return found


class Others:
    """Vendors that do no harm: on connections they keep, and on a new one each time. Counts how they fare."""

    def __init__(self, edge: Edge, kept: int = 6, fresh: int = 2, pause: float = 0.1) -> None:
        self.edge = edge
        self.pause = pause
        self.seconds: list[float] = []
        self.wrong: list[str] = []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(i, i < kept)) for i in range(kept + fresh)]

    def __enter__(self) -> "Others":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(WAIT + WORST)
        if kind is None:
            print(f"others: {len(self.seconds)} requests, slowest {max(self.seconds, default=0):.3f} s")
            assert not self.wrong, self.wrong[:5]
            assert self.seconds and max(self.seconds) < WORST, max(self.seconds, default=0)

    def run(self, number: int, keeps: bool) -> None:
        """One of them."""
        sock, leg = None, 0
        while not self.over.is_set():
            began, leg = time.monotonic(), leg + 1
            try:
                sock = sock or self.edge.dial("127.0.0.9")
                sock.sendall(request(body(f"other-{number}", leg)))
                (answer,) = answers(sock, 1)
                if answer.status != 200:
                    self.wrong.append(f"{number}: {answer}")
            except (OSError, AssertionError) as error:
                self.wrong.append(f"{number} {'kept' if keeps else 'fresh'}: {error!r}")
                sock = self.forget(sock)
            self.seconds.append(time.monotonic() - began)
            if not keeps:
                sock = self.forget(sock)
            self.over.wait(self.pause)
        self.forget(sock)

    def forget(self, sock: socket.socket | None) -> None:
        """Ends a connection."""
        if sock:
            sock.close()
