"""What the tests of the disk share: the layer under the spool's folder, and what was sent and answered."""

from __future__ import annotations

import asyncio
import mmap
import random
import struct
import subprocess
import threading
from pathlib import Path

from disk_model import OPS
from ingest_util import Desk, body, request
from lib_cs import BINARY

NOBODY = "127.0.0.1:1"  # no broker there
_FAILED = 8  # index of the number behind those that say what to do
_NUMBERS = 9 + len(OPS)
_NEVER_TWICE = {"ASAN_OPTIONS": "detect_leaks=0:verify_asan_link_order=0"}


def sanitizer() -> str:
    """The sanitizer's library of the binary, which wants to be loaded first; "" without."""
    said = subprocess.run(["ldd", str(BINARY)], capture_output=True, text=True, check=True).stdout
    paths = [line.split()[2] for line in said.splitlines() if "libasan" in line or "libtsan" in line]
    return paths[0] if paths else ""


class Layer:
    """The layer of disk_layer.c under the spool of a desk: what fails, when the power goes."""

    def __init__(self, desk: Desk) -> None:
        self.folder = desk.folder / "spool"
        self.log = desk.folder / "disk.log"
        path = desk.folder / "disk.control"
        path.write_bytes(bytes(4096))
        with open(path, "r+b") as file:
            self.control = mmap.mmap(file.fileno(), 4096)
        library = BINARY.parent / "disk_layer.so"
        assert library.exists(), f"{library} is not built"
        self.env = {
            "LD_PRELOAD": f"{sanitizer()} {library}".strip(),
            "DISK_LAYER": f"{self.folder}:{self.log}:{path}",
            **_NEVER_TWICE,
        }

    def _set(self, first: int, *numbers: int) -> None:
        for i, number in reversed(list(enumerate(numbers, first))):
            struct.pack_into("<I", self.control, 4 * i, number)

    def _get(self, i: int) -> int:
        return int(struct.unpack_from("<I", self.control, 4 * i)[0])

    def fail(self, op: str, err: int, skip: int = 0, times: int = 1, some: int = 0) -> None:
        """After skip operations of that kind the next ones fail; err 0: they are short."""
        self._set(_FAILED, 0)
        self._set(0, OPS.index(op), skip, times, err, some)

    def heal(self) -> None:
        """Nothing fails any more."""
        self._set(0, 0, 0, 0, 0, 0)

    def failed(self) -> int:
        """How many have failed since fail()."""
        return self._get(_FAILED)

    def cut(self, op: str, skip: int = 0, some: int = 0) -> None:
        """The process dies in an operation of that kind ("count": any); some bytes of a write are written."""
        self._set(5, OPS.index(op), skip, some)

    def begin(self) -> None:
        """Before a start: an empty log, no faults."""
        self.log.write_bytes(b"")
        self._set(0, *([0] * _NUMBERS))


class Ledger:
    """What was sent, and what of it was answered 200."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.sent: dict[tuple[str, str], bytes] = {}
        self.accepted: set[tuple[str, str]] = set()
        self.calls = 0

    async def lane(self, legs: int, pad: int) -> list[int]:
        """A call of its own; ends early when nobody answers. The statuses."""
        call, statuses = str(7000 + self.calls), []
        self.calls += 1
        connection = self.desk.connection(10)
        for leg in range(legs):
            content = body(call, leg, pad, f"{call}-{leg} ")  # a text of its own
            self.sent[call, str(leg)] = content
            answer = await connection.exchange(request(content))
            statuses.append(answer.status)
            if answer.status == 200:
                self.accepted.add((call, str(leg)))
            elif answer.status == 0:
                break
            else:
                assert answer.status == 503 and b'{"error":"' in answer.body, answer
        connection.close()
        return statuses

    def load(self, lanes: int, legs: int, draw: random.Random, pad: int = 3000) -> list[int]:
        """Some calls at the same time."""

        async def all_lanes() -> list[int]:
            tasks = [asyncio.create_task(self.lane(legs, draw.randrange(pad))) for _ in range(lanes)]
            return [status for task in tasks for status in await task]

        return asyncio.run(all_lanes())

    def one(self, pad: int = 100) -> int:
        """The status of one request."""
        return asyncio.run(self.lane(1, pad))[0]

    def check(self, lost: set[tuple[str, str]] | None = None) -> int:
        """All that was accepted is in the topic just as it was sent, in order, and nothing that was not sent.

        lost: what may be missing. Returns how many have arrived.
        """
        arrived: dict[tuple[str, str], bytes] = {}
        for event in self.desk.topic("events"):
            place = event["call_session_id"], event["leg_id"]
            assert place in self.sent, f"never sent: {place}"
            raw = event.get("raw")
            if raw:
                arrived.setdefault(place, raw["body"].encode())
                assert raw["body"].encode() == self.sent[place], f"not as it was sent: {place}"
        missing = self.accepted - arrived.keys() - (lost or set())
        assert not missing, f"answered 200 and lost: {len(missing)}, for instance {min(missing)}"
        legs: dict[str, int] = {}
        for call, leg in arrived:
            if (call, leg) not in self.accepted:
                continue  # refused, and there all the same: perhaps behind what came later
            assert legs.get(call, -1) < int(leg), f"out of order: {call} {leg}"
            legs[call] = int(leg)
        return len(arrived)


class Sender:
    """Load in the background, until it is not accepted any more."""

    def __init__(self, ledger: Ledger, draw: random.Random) -> None:
        self.ledger = ledger
        self.draw = draw
        self.before = len(ledger.accepted)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        while set(self.ledger.load(6, 25, self.draw)) == {200}:
            pass

    def end(self) -> None:
        """Waits for its end."""
        self.thread.join(30)
        assert not self.thread.is_alive()


def segments(folder: Path) -> dict[str, bytes]:
    """The segments in a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.seg"))}


def finish(desk: Desk, ledger: Ledger) -> tuple[int, int]:
    """A start on a disk that is well, with a broker: the spool drains, all is there.

    Returns how many segments were counted as damaged, and how many were set aside.
    """
    aside = desk.folder / "spool" / "damaged"
    before = set(segments(aside))
    process = desk.start()
    desk.drained()
    counted = int(desk.metric("callstream_spool_damaged_total"))
    assert process.stop() == 0, process.tail()
    assert not segments(desk.folder / "spool"), "a segment is left"
    ledger.check()
    return counted, len(set(segments(aside)) - before)
