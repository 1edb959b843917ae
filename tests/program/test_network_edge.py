"""The edge to the network, on the real program: others are served, memory is bounded, all is counted."""

from __future__ import annotations

import resource
import selectors
import socket
import struct
import time
import unittest
from collections import Counter
from collections.abc import Iterator

from edge_rows import BODY_MAX, NEXT, PATH, all_rows, chunked, chunks, post
from edge_util import QUARANTINE, STATUSES, WAIT, Edge, Others, answers
from ingest_util import body, request
from lib_cs import until

WANTED = 10_000  # connections
SPARE = 600  # descriptors for everything else, on both sides
READ_SECONDS = 20  # http_server.h: a whole request
READING_MAX = 256 << 20  # http_server.h: bytes of requests that are not whole
CONNECTION_BYTES = 512 + 2048  # struct conn, the smallest buffer
SANITIZED = 2  # what the address sanitizer makes of small pieces: borders and shadow
OUTGROWN = 2  # a buffer grows by doubling: an allocator may keep as much again of what was outgrown
ELSE_BYTES = 16 << 20  # allocators' arenas, the spool's buffers, the answers
FLOOD_SECONDS = 4.0
PER_SECOND = 20  # ingest.unauthenticated_per_second


def setUpModule() -> None:
    """As many descriptors as we may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def reset(sock: socket.socket) -> None:
    """Ends it without a word."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def close_all(socks: list[socket.socket]) -> None:
    """Ends them."""
    for sock in socks:
        sock.close()
    socks.clear()


def rises(before: dict[int, int], after: dict[int, int]) -> dict[int, int]:
    """What was counted in between."""
    return {status: after[status] - before[status] for status in STATUSES if after[status] != before[status]}


class Crowd(unittest.TestCase):
    """Ten thousand at once."""

    def test_ten_thousand_connections(self) -> None:
        with Edge() as edge:
            edge.open()
            count = min(WANTED, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - SPARE)
            start = edge.peak_from_here()
            self.socks: dict[str, list[socket.socket]] = {"idle": [], "slow": [], "silent": [], "half": []}
            try:
                self.crowd(edge, count, start)
            finally:
                for socks in self.socks.values():
                    close_all(socks)

    def crowd(self, edge: Edge, count: int, start: int) -> None:
        began = time.monotonic()
        self.come(edge, count)
        until("all of them", WAIT, lambda: edge.connections() == count)
        with Others(edge):
            self.speak_slowly(began + READ_SECONDS / 2)
            print(f"{count} connections after {time.monotonic() - began:.1f} s, {self.at} bytes of the slow ones")
            self.assertLess(time.monotonic() - began, READ_SECONDS - 2, "this machine is too slow for this test")
            done = self.speak_up()
            gone = len(self.socks["slow"]) + len(self.socks["silent"]) + len(self.socks["half"])
            until("the slow ones' end", READ_SECONDS + WAIT, lambda: edge.closed("slow_request") == gone, 0.25)
            self.idle_ones_go_on()
        peak = edge.memory("VmHWM") - start
        bound = SANITIZED * count * CONNECTION_BYTES + QUARANTINE + ELSE_BYTES
        print(f"{count} connections held, {peak >> 20} MiB more, bound {bound >> 20} MiB; {done} slow ones answered")
        self.assertLess(peak, bound)
        self.assertEqual(0, edge.closed("limit") + edge.closed("memory"))
        until("the idle ones alone", WAIT, lambda: edge.connections() == len(self.socks["idle"]) + done)
        close_all(self.finished)

    def come(self, edge: Edge, count: int) -> None:
        kinds = ["idle", "slow", "idle", "slow", "silent", "idle", "slow", "half", "idle", "silent"]
        for i in range(count):
            sock = edge.dial(f"127.2.{i % 4}.1")
            self.socks[kinds[i % len(kinds)]].append(sock)
            if kinds[i % len(kinds)] == "half":
                sock.sendall(NEXT[: 1 + i % (len(NEXT) - 1)])
        for sock in self.socks["idle"]:
            sock.sendall(b"GET /x HTTP/1.1\r\n\r\n")
        for sock in self.socks["idle"]:
            self.assertEqual(404, answers(sock, 1)[0].status)

    def speak_slowly(self, stop: float) -> None:
        """A byte of each in turn."""
        self.at = NEXT.index(b"Host")
        for sock in self.socks["slow"]:
            sock.sendall(NEXT[: self.at])
        while self.at < len(NEXT) // 2 and time.monotonic() < stop:
            for sock in self.socks["slow"]:
                sock.sendall(NEXT[self.at : self.at + 1])
            self.at += 1

    def speak_up(self) -> int:
        """Half of the slow ones come to their end in time."""
        half = len(self.socks["slow"]) // 2
        self.finished, self.socks["slow"] = self.socks["slow"][:half], self.socks["slow"][half:]
        for sock in self.finished:
            sock.sendall(NEXT[self.at :])
        self.assertEqual({200}, {answers(sock, 1)[0].status for sock in self.finished})
        return half

    def idle_ones_go_on(self) -> None:
        for sock in self.socks["idle"][::40]:
            sock.sendall(NEXT)
            self.assertEqual(200, answers(sock, 1)[0].status)

    def test_bodies_beyond_all_memory(self) -> None:
        """Each as large as it may be and never whole."""
        with Edge() as edge:
            edge.open()
            start = edge.peak_from_here()
            full = post(content=b"x" * BODY_MAX)[:-1]
            socks = [edge.dial("127.2.9.1") for _ in range(READING_MAX // BODY_MAX * 3 // 2)]
            try:
                with Others(edge):
                    whole = self.pour(socks, full)
                    until("the oldest ones' end", WAIT, lambda: edge.closed("memory") > 0)
                peak = edge.memory("VmHWM") - start
                bound = READING_MAX * OUTGROWN + len(socks) * CONNECTION_BYTES * SANITIZED + QUARANTINE + ELSE_BYTES
                print(f"{len(socks)} bodies, {whole} sent to their last byte but one, {edge.closed('memory')} closed;"
                      f" {peak >> 20} MiB more, bound {bound >> 20} MiB")
                self.assertLess(peak, bound)
                self.assertGreater(peak, READING_MAX // 4)  # the test is one
            finally:
                close_all(socks)

    def pour(self, socks: list[socket.socket], data: bytes) -> int:
        """Sends to all at once; how many took it whole."""
        selector, whole = selectors.DefaultSelector(), 0
        for sock in socks:
            sock.setblocking(False)
            selector.register(sock, selectors.EVENT_WRITE, [0])
        deadline = time.monotonic() + WAIT
        while selector.get_map():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.001)  # the others' threads want to measure the server, not us
            for key, _ in selector.select(1):
                try:
                    key.data[0] += key.fileobj.send(data[key.data[0] : key.data[0] + 65536])  # type: ignore[union-attr]
                except BlockingIOError:
                    continue
                except OSError:
                    selector.unregister(key.fileobj)
                    continue
                if key.data[0] == len(data):
                    whole += 1
                    selector.unregister(key.fileobj)
        return whole


class Cut(unittest.TestCase):
    """Requests that end, or rest, at each of their bytes."""

    requests = (post(), chunked(chunks(size=40, extension=b";a=b", trailer=b"X: 1\r\n")))

    def test_cut_at_every_byte(self) -> None:
        with Edge() as edge, Others(edge.open(), kept=2, fresh=1):
            cuts = 0
            for whole in self.requests:
                for n in range(len(whole)):
                    for end in (socket.socket.close, reset, self.half_close):
                        sock = edge.dial()
                        sock.sendall(whole[:n])
                        end(sock)
                    cuts += 2 * (n > 0)  # what a reset cut may never have been read
            others = edge.answered()  # 200 for theirs: nothing that was cut is a request
            until("no connection but theirs", WAIT, lambda: edge.connections() <= 3)
            self.assertIn(edge.closed("cut"), range(cuts, cuts * 3 // 2 + 1))
            self.assertEqual({200}, {status for status, n in others.items() if n})
            for whole in self.requests:
                with edge.dial() as sock:
                    sock.sendall(whole)
                    sock.shutdown(socket.SHUT_WR)
                    self.assertEqual([200], [a.status for a in answers(sock, None)])

    def half_close(self, sock: socket.socket) -> None:
        with sock:
            sock.shutdown(socket.SHUT_WR)
            self.assertEqual([], answers(sock, None))

    def test_pause_at_every_byte(self) -> None:
        with Edge() as edge:
            edge.open()
            for whole in self.requests:
                socks = [edge.dial() for _ in range(1, len(whole))]
                for n, sock in enumerate(socks, 1):
                    sock.sendall(whole[:n])
                until("all of them", WAIT, lambda: edge.connections() == len(socks))
                for n, sock in enumerate(socks, 1):
                    sock.sendall(whole[n:] + whole[:n])  # and the next one rests where this one did
                for n, sock in enumerate(socks, 1):
                    self.assertEqual(200, answers(sock, 1)[0].status, n)
                    sock.sendall(whole[n:])
                    self.assertEqual(200, answers(sock, 1)[0].status, n)
                close_all(socks)
            self.assertEqual(2 * sum(len(whole) - 1 for whole in self.requests), edge.records())


class Framing(unittest.TestCase):
    """The table of edge_rows: as many answers as requests, and none to what was hidden."""

    def test_rows(self) -> None:
        with Edge("keep_raw: true, unauthenticated_per_second: 100000") as edge:
            edge.open()
            before, want = edge.answered(), Counter[int]()
            rows = all_rows()
            for row in rows:
                with self.subTest(row.name):
                    with edge.dial() as sock:
                        self.assertEqual(row.answers, self.talk(sock, row.sent, row.closed))
                    want.update(row.answers)
                    want[404] += not row.closed
            print(f"{len(rows)} rows, answers {dict(want)}")
            self.assertEqual(dict(want), rises(before, edge.answered()))
            self.assertEqual(want[200], edge.records())

    def talk(self, sock: socket.socket, sent: bytes, closed: bool) -> tuple[int, ...]:
        """The answers; a connection that is kept takes one request more."""
        sock.sendall(sent)
        if not closed:
            sock.sendall(b"GET /again HTTP/1.1\r\n\r\n")
            sock.shutdown(socket.SHUT_WR)
        got = answers(sock, None)
        self.assertTrue(all(a.status == 200 or b'{"error":' in a.body or not a.body for a in got))
        if closed:
            self.assertEqual("close", got[-1].headers.get("connection"))
            return tuple(a.status for a in got)
        self.assertEqual(404, got[-1].status)
        return tuple(a.status for a in got[:-1])


class Pipelined(unittest.TestCase):
    """Many requests behind each other."""

    def test_pipelines(self) -> None:
        with Edge() as edge:
            edge.open()
            self.many_at_once(edge)
            self.nobody_reads(edge)
            self.up_to_the_one_that_is_wrong(edge)

    def many_at_once(self, edge: Edge) -> None:
        legs = range(2000)
        with edge.dial() as sock:
            sock.sendall(b"".join(request(body("pipe", leg)) for leg in legs))
            self.assertEqual({200}, {a.status for a in answers(sock, len(legs))})
        self.assertEqual(len(legs), edge.records())

    def nobody_reads(self, edge: Edge) -> None:
        """Who does not read its answers is not read either, and costs next to nothing."""
        start, sent, full = edge.peak_from_here(), 0, 0
        piece = b"GET /x HTTP/1.1\r\n\r\n" * 3000
        with edge.dial("127.3.0.1") as sock:
            sock.setblocking(False)
            while full < 20:
                try:
                    sent += sock.send(piece[sent % len(piece) :])
                    full = 0
                except BlockingIOError:
                    full += 1
                    time.sleep(0.02)
            self.assertLess(edge.memory("VmHWM") - start, QUARANTINE + ELSE_BYTES)
            sock.settimeout(WAIT)
            sock.shutdown(socket.SHUT_WR)
            got = self.all_of(sock).count(b"HTTP/1.1 404")
        self.assertEqual(sent // len(b"GET /x HTTP/1.1\r\n\r\n"), got)
        print(f"{sent >> 10} KiB of requests taken without an answer read, then {got} answers")

    def all_of(self, sock: socket.socket) -> bytes:
        pieces = []
        while piece := sock.recv(1 << 18):
            pieces.append(piece)
        return b"".join(pieces)

    def up_to_the_one_that_is_wrong(self, edge: Edge) -> None:
        for bad, status in (
            (b"nonsense\r\n\r\n", 400),
            (post(f"Content-Length: {BODY_MAX + 1}", length=False), 413),
            (b"HEAD /x HTTP/1.1\r\n\r\n", 404),
            (post(line=f"PUT {PATH} HTTP/1.1"), 405),
            (b"GET / HTTP/1.1\r\nX: " + b"x" * 20000, 431),
        ):
            with self.subTest(status), edge.dial() as sock:
                before = edge.records()
                sock.sendall(NEXT * 3 + bad + NEXT * 3)
                self.assertEqual([200] * 3 + [status], [a.status for a in answers(sock, None)])
                self.assertEqual(before + 3, edge.records())


class Floods(unittest.TestCase):
    """Many who are not authentic, and more connections than there may be."""

    def test_wrong_tokens_from_many_addresses(self) -> None:
        with Edge() as edge:
            edge.open()
            before, sources = edge.answered(), [f"127.4.{i // 250}.{1 + i % 250}" for i in range(300)]
            with Others(edge):
                began = time.monotonic()
                seen = self.flood(edge, sources, request(body("1", 1), "wrong"))
                spent = time.monotonic() - began
            got = rises(before, edge.answered())
            self.assertEqual({s: n for s, n in seen.items() if n}, {s: n for s, n in got.items() if s != 200})
            self.assertLessEqual(seen[403], len(sources) * PER_SECOND * (spent + 1))

    def test_wrong_tokens_from_one_address(self) -> None:
        with Edge() as edge:
            edge.open()
            with Others(edge):
                began = time.monotonic()
                seen = self.flood(edge, ["127.0.0.9"] * 100, request(body("1", 1), "wrong"))  # that of the others
                allowed = PER_SECOND * (time.monotonic() - began + 1)
            self.assertLessEqual(seen[403], allowed)
            self.assertGreater(seen[429], 0)
            self.assertLessEqual(edge.answered()[403], allowed)

    def flood(self, edge: Edge, sources: list[str], data: bytes) -> Counter[int]:
        """A connection from each, a request as soon as there is an answer; all are read in the end."""
        selector, seen = selectors.DefaultSelector(), Counter[int]()
        socks = [edge.dial(source) for source in sources]
        for sock in socks:
            sock.sendall(data)
            selector.register(sock, selectors.EVENT_READ)
        stop, open_n = time.monotonic() + FLOOD_SECONDS, len(socks)
        while open_n:
            for key, _ in selector.select(WAIT):
                seen[answers(key.fileobj, 1)[0].status] += 1  # type: ignore[arg-type]
                if time.monotonic() < stop:
                    key.fileobj.sendall(data)  # type: ignore[union-attr]
                else:
                    selector.unregister(key.fileobj)
                    open_n -= 1
        close_all(socks)
        print(f"flood from {len(set(sources))} addresses: {dict(seen)}")
        return seen

    def test_more_connections_than_there_may_be(self) -> None:
        """Silent ones, slow ones and those that come and go, where the system allows few descriptors."""
        limit = 1000
        with Edge() as edge:
            edge.open("prlimit", f"--nofile={limit}:{limit}")
            with Others(edge):
                most = self.push(edge)
            print(f"at most {most} connections, {edge.closed('limit')} closed for new ones")
            self.assertLess(most, limit)
            self.assertGreater(edge.closed("limit"), 0)

    def push(self, edge: Edge) -> int:
        socks, most, stop = [], 0, time.monotonic() + FLOOD_SECONDS
        for kind in self.kinds():
            if time.monotonic() > stop and len(socks) > 1200:
                break
            socks.append(edge.dial("127.5.0.1"))
            if kind == "slow":
                socks[-1].sendall(b"P")
            elif kind == "gone":
                reset(socks.pop())
            if len(socks) % 50 == 0:
                assert edge.process
                most = max(most, edge.connections())
                self.assertLess(edge.descriptors(), 1000)
                time.sleep(0.1)
        close_all(socks)
        return most

    def kinds(self) -> Iterator[str]:
        while True:
            yield from ("silent", "silent", "slow", "gone")


if __name__ == "__main__":
    unittest.main()
