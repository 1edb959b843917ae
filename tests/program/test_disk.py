"""The disk under the spool: power cuts, refusals, damage, no room. The binary is the real one.

A layer (disk_layer.c) stands between the binary and the spool's folder; what a disk would have after a
power cut is worked out from its log (disk_model.py). Where we may mount, real file systems join in.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import random
import socket
import struct
import subprocess
import sys
import time
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path

from disk_model import Disk, records
from disk_util import NOBODY, Layer, Ledger, Sender, finish, segments
from ingest_util import Desk
from lib_cs import Process, until

LONG = bool(os.environ.get("CALLSTREAM_LONG"))
SMALL = "spool_bytes_max: 1MiB"  # segments of 128 KiB
GROUP = 5  # cuts of one spool after each other, before all of it has to arrive


def seed_of_run() -> int:
    """The seed, printed."""
    seed = int(os.environ.get("CALLSTREAM_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
    print(f"seed {seed}", file=sys.stderr)
    return seed


def reach(desk: Desk, brokers: str) -> None:
    """From the next start on the broker is there, or not."""
    desk.brokers = brokers
    desk.write("spool", SMALL)


def fill(desk: Desk, ledger: Ledger, draw: random.Random, size: int) -> None:
    """Load until the spool has as many bytes; all of it is accepted."""
    while sum(map(len, segments(desk.folder / "spool").values())) < size:
        assert set(ledger.load(4, 10, draw)) == {200}


class PowerCut(unittest.TestCase):
    """What was answered 200 has arrived in the end, whatever the disk forgets."""

    seconds_max = 1800 if LONG else 120

    # Where the power goes: how often, and how many such operations may pass before.
    PLACES = (("count", 6, 250), ("write", 3, 100), ("fdatasync", 3, 60), ("fsync", 2, 5), ("open", 2, 5),
              ("unlink", 2, 3), ("rename", 1, 1), ("mkdir", 1, 1), ("close", 1, 8))  # fmt: skip

    def start_until_cut(self, desk: Desk, layer: Layer) -> Process:
        """Starts; it may die on the way, or be full from the beginning."""
        process = desk.launch(**layer.env)
        until("an answer", 30, lambda: desk.readyz()[0] or not process.running())
        return process

    def one_cut(self, desk: Desk, ledger: Ledger, layer: Layer, draw: random.Random, deaf: bool = False) -> Disk:
        """A start, load, the power goes in the middle of something, the folder is what the disk has."""
        (place, _, most), = draw.choices(self.PLACES, [weight for _, weight, _ in self.PLACES])
        layer.folder.mkdir(exist_ok=True)
        disk = Disk(layer.folder)
        disk.deaf = deaf
        layer.begin()
        layer.cut(place, draw.choice([draw.randrange(4), draw.randrange(most + 1)]), draw.randrange(8000))
        process = self.start_until_cut(desk, layer)
        if process.running():
            ledger.load(6, 25, draw)
        if process.running():  # that kind of operation is rare: in the next one of any kind
            layer.cut("count")
            ledger.load(1, 1, draw)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.process.wait(2)
            process.kill()  # the spool is full, nobody drains it: the disk has nothing to do
        self.assertEqual(-9, process.process.wait(10), process.tail())
        disk.replay(layer.log, draw)
        self.assertEqual([], disk.differs())
        self.lost += disk.cut(draw)
        self.cuts[place] = self.cuts.get(place, 0) + 1
        return disk

    def setUp(self) -> None:
        self.lost = 0
        self.cuts: dict[str, int] = {}

    def group(self, draw: random.Random) -> None:
        with Desk(more=SMALL) as desk:
            layer, ledger, there = Layer(desk), Ledger(desk), desk.brokers
            for _ in range(GROUP):
                reach(desk, draw.choice([there, there, NOBODY]))
                disk = self.one_cut(desk, ledger, layer, draw)
            torn = disk.torn()
            cursor = disk.plate_names.get(str(layer.folder / "cursor"))
            at = struct.unpack_from("<Q", cursor.plate, 8)[0] if cursor and len(cursor.plate) >= 32 else 0
            reach(desk, there)
            counted, aside = finish(desk, ledger)
            self.assertEqual(counted, aside)
            self.assertIn(counted, range(len([name for name in torn if int(name[:16], 16) >= at]), len(torn) + 1))
            self.damaged += counted
            self.accepted += len(ledger.accepted)

    def test_nothing_answered_is_lost(self) -> None:
        draw = random.Random(seed_of_run())
        self.damaged = self.accepted = 0
        for _ in range(100 // GROUP if LONG else 1):
            self.group(draw)
        while not self.accepted:  # all of them came at the start
            self.group(draw)
        print(f"cuts {self.cuts}, {self.lost} sectors and names lost, {self.damaged} segments damaged, "
              f"{self.accepted} requests accepted", file=sys.stderr)  # fmt: skip
        if LONG:  # of five cuts each may fall between two operations
            self.assertGreater(self.lost, 0)

    def test_a_disk_that_never_syncs_is_noticed(self) -> None:
        draw = random.Random(11)
        with Desk(brokers=NOBODY, more=SMALL) as desk:
            layer, ledger = Layer(desk), Ledger(desk)
            while not ledger.accepted:
                self.one_cut(desk, ledger, layer, draw, deaf=True)
            reach(desk, os.environ["CALLSTREAM_BROKERS"])
            with self.assertRaisesRegex(AssertionError, "answered 200 and lost"):
                finish(desk, ledger)


FAULTS = [  # operation, what it says, how much of a write is written all the same
    ("write", errno.EIO, 0), ("write", errno.EIO, 700), ("write", errno.ENOSPC, 0), ("write", errno.ENOSPC, 41),
    ("write", errno.EDQUOT, 1), ("fdatasync", errno.EIO, 0), ("fdatasync", errno.ENOSPC, 0),
    ("fsync", errno.EIO, 0), ("open", errno.ENOSPC, 0), ("open", errno.EMFILE, 0),
]  # fmt: skip


class Refused(unittest.TestCase):
    """A disk that refuses means 503, counted, for as long as it does; a sync that failed stays failed."""

    def errors(self, desk: Desk) -> float:
        return desk.metric("callstream_spool_errors_total")

    def one_fault(self, desk: Desk, ledger: Ledger, layer: Layer, op: str, err: int, some: int, times: int) -> None:
        if op in ("fsync", "open"):  # these come with a new segment, which a failed sync brings
            layer.fail("fdatasync", errno.EIO)
            self.assertEqual(503, ledger.one())
        before = self.errors(desk)
        layer.fail(op, err, skip=0, times=times, some=some)
        self.assertEqual(503, ledger.one(1000))
        self.assertGreater(layer.failed(), 0)
        while layer.failed() < times:  # the program tries by itself, or with the next request
            time.sleep(0.02)
            status = ledger.one(100)
            self.assertTrue(status == 503 or layer.failed() == times, status)
        until("ready again", 20, lambda: desk.readyz()[0] == 200)
        self.assertEqual(200, ledger.one())
        self.assertGreater(self.errors(desk), before)

    def test_each_in_turn_then_the_power_goes(self) -> None:
        """What was refused was not answered 200, so what was answered has to survive the cut."""
        draw = random.Random(seed_of_run())
        cases = 0
        with Desk(brokers=NOBODY, more=SMALL) as desk:
            layer, ledger = Layer(desk), Ledger(desk)
            layer.folder.mkdir()
            disk = Disk(layer.folder)
            layer.begin()
            process = desk.start(**layer.env)
            self.assertEqual([200] * 10, ledger.load(2, 5, draw))
            for op, err, some in FAULTS:
                for times in (1, 3):
                    with self.subTest(op=op, error=errno.errorcode[err], some=some, times=times):
                        self.one_fault(desk, ledger, layer, op, err, some, times)
                        cases += 1
            for some in (0, 1, 39, 40, 41, 513):  # short writes are no errors
                layer.fail("write", 0, times=40, some=some)
                self.assertEqual(200, ledger.one(900))
                self.assertGreater(layer.failed(), 0)
                layer.heal()
                cases += 1
            layer.cut("count")
            ledger.one()
            process.process.wait(10)
            disk.replay(layer.log, draw)
            self.assertEqual([], disk.differs())
            disk.cut(draw)
            reach(desk, os.environ["CALLSTREAM_BROKERS"])
            counted, aside = finish(desk, ledger)
            self.assertEqual(counted, aside)
        print(f"{cases} kinds of refusal", file=sys.stderr)

    def test_the_nth_of_each(self) -> None:
        """In the middle of load: never a 200 for what is not there, and the rest goes on."""
        draw = random.Random(seed_of_run())
        with Desk(more=SMALL) as desk:
            layer, ledger = Layer(desk), Ledger(desk)
            layer.folder.mkdir()
            layer.begin()
            desk.start(**layer.env)
            for op in ("write", "fdatasync", "fsync", "open", "unlink", "fallocate"):
                for nth in range(4):
                    layer.fail(op, errno.EIO, skip=nth)
                    ledger.load(4, 8, draw, 6000)
                    layer.heal()
            until("ready again", 20, lambda: desk.readyz()[0] == 200)
            self.assertEqual(200, ledger.one())
            desk.drained()
            ledger.check()

    def test_a_damaged_segment_that_cannot_be_set_aside(self) -> None:
        """The rest is served, and it is set aside when the disk allows it."""
        draw = random.Random(seed_of_run())
        with Desk(brokers=NOBODY, more=SMALL) as desk:
            layer, ledger = Layer(desk), Ledger(desk)
            process = desk.start()
            self.assertEqual({200}, set(ledger.load(4, 10, draw)))
            self.assertEqual(0, process.stop())
            (path,) = layer.folder.glob("*.seg")
            data = bytearray(path.read_bytes())
            begin, end = records(data)[-1]
            data[begin + 60] ^= 4
            path.write_bytes(data)
            lost = {place for place, sent in ledger.sent.items() if sent not in _bodies(data, begin)}
            self.assertEqual(1, len(lost))
            reach(desk, os.environ["CALLSTREAM_BROKERS"])
            layer.begin()
            layer.fail("rename", errno.EIO, times=1000)
            process = desk.start(**layer.env)
            desk.drained()
            until("a try", 20, lambda: layer.failed() > 0)
            self.assertEqual(1, desk.metric("callstream_spool_damaged_total"))
            self.assertEqual(200, ledger.one())
            desk.drained()
            process.kill()
            self.assertEqual(bytes(data), path.read_bytes())
            layer.begin()
            process = desk.start(**layer.env)
            desk.drained()
            self.assertEqual(0, process.stop())
            self.assertEqual({path.name: bytes(data)}, segments(layer.folder / "damaged"))
            ledger.check(lost)


def _bodies(segment: bytes | bytearray, end: int) -> list[bytes]:
    """What was sent, as it stands in a segment up to a place."""
    found = []
    for begin, stop in records(segment):
        if stop <= end:
            key_n = struct.unpack_from("<I", segment, begin + 12)[0]
            found.append(json.loads(segment[begin + 40 + key_n : stop])["raw"]["body"].encode())
    return found


def _flip(at: int) -> Callable[[bytearray], None]:
    def hurt(data: bytearray) -> None:
        data[at] ^= 16

    return hurt


def _repeat(data: bytearray) -> None:
    data[8192:12288] = data[4096:8192]


def _swap(data: bytearray) -> None:
    data[4096:8192], data[8192:12288] = data[8192:12288], data[4096:8192]


def _zero(data: bytearray) -> None:
    data[4096:8192] = bytes(4096)


def _cut(data: bytearray) -> None:
    del data[len(data) // 2 + 3 :]


def _append(data: bytearray) -> None:
    data += data[32:900]


HURTS: list[Callable[[bytearray], None]] = [_flip(20), _repeat, _swap, _zero, _cut, _append, _flip(32 + 17)]


class Damaged(unittest.TestCase):
    """A backlog that was hurt while nobody looked."""

    def test_each_segment_in_its_own_way(self) -> None:
        draw = random.Random(seed_of_run())
        with Desk(brokers=NOBODY, more="spool_bytes_max: 2MiB") as desk:
            ledger = Ledger(desk)
            process = desk.start()
            fill(desk, ledger, draw, 1_700_000)
            process.kill()
            (desk.folder / "spool" / "cursor").write_bytes(b"no cursor, but as long as one is.")
            hurt, lost = {}, set()
            for path, how in zip(sorted((desk.folder / "spool").glob("*.seg")), HURTS):
                before = path.read_bytes()
                data = bytearray(before)
                how(data)
                path.write_bytes(data)
                hurt[path.name] = bytes(data)
                whole = _bodies(before, len(before))
                gone = [whole[i] for i, (a, b) in enumerate(records(before)) if data[a:b] != before[a:b]]
                lost |= {place for place, sent in ledger.sent.items() if sent in gone}
            self.assertGreaterEqual(len(hurt), 6)
            reach(desk, os.environ["CALLSTREAM_BROKERS"])
            process = desk.start()
            desk.drained()
            self.assertEqual(len(hurt), desk.metric("callstream_spool_damaged_total"))
            self.assertEqual(1, desk.metric("callstream_spool_errors_total"))  # the cursor
            self.assertEqual(0, process.stop())
            self.assertEqual(hurt, segments(desk.folder / "spool" / "damaged"))
            self.assertEqual(len(ledger.sent) - len(lost), ledger.check(lost))


class WrongConfig(unittest.TestCase):
    """Who starts with a wrong config after a crash finds the backlog untouched when it is right again."""

    def everything(self, desk: Desk) -> dict[str, bytes | None]:
        spool = desk.folder / "spool"
        return {str(p.relative_to(spool)): p.read_bytes() if p.is_file() else None for p in spool.rglob("*")}

    def test_untouched_after_a_crash(self) -> None:
        draw = random.Random(seed_of_run())
        with Desk(more="spool_bytes_max: 2MiB") as desk:
            ledger = Ledger(desk)
            self.assertEqual(0, desk.start().stop())  # the topics are made
            there, right = desk.brokers, desk.config.read_text()
            self.assertIn("spool_bytes_max: 2MiB", right)
            desk.config.write_text(right.replace(there, NOBODY))
            process = desk.start()
            fill(desk, ledger, draw, 1_200_000)
            process.kill()
            before = self.everything(desk)
            (desk.folder / "file").write_text("")
            away = right.replace(there, NOBODY)
            for old, new in (
                ("partitions: 4", "partitions: 5"),
                ("partitions: 4", "partitions: none"),
                ("spool_bytes_max: 2MiB", "spool_bytes_max: 12 parsecs"),
                ("spool_bytes_max: 2MiB", "spool_bytes_max: 1"),
                ("spool_bytes_max: 2MiB", "spool_size: 2MiB"),
                (f"{desk.folder}/spool", f"{desk.folder}/file/spool"),
                (f"{desk.folder}/spool", "/proc/spool"),
                (f'spool_dir: "{desk.folder}/spool"', 'spool_dir: ""'),
                ("ack: spool", "ack: never"),
                ("source: callgear", "source: nobody"),
            ):
                with self.subTest(old=old, new=new):
                    self.assertIn(old, right)
                    desk.config.write_text(right.replace(old, new))
                    with contextlib.suppress(AssertionError):
                        desk.start()  # it may be ready for a moment
                    assert desk.process
                    self.assertEqual(1, desk.process.process.wait(30), desk.process.tail())
                    self.assertEqual(before, self.everything(desk))
            with self.subTest("a spool smaller than what is in it"):
                desk.config.write_text(away.replace("2MiB", "1MiB"))
                process = desk.launch()
                try:
                    until("not ready", 30, lambda: desk.readyz()[0] == 503)
                finally:
                    process.kill()
                self.assertEqual(before, self.everything(desk))
            with self.subTest("an address that is taken"), socket.create_server(("127.0.0.1", desk.port)):
                desk.config.write_text(away)
                with self.assertRaises(AssertionError):
                    desk.start()
                self.assertEqual(before, self.everything(desk))
            desk.config.write_text(right)
            finish(desk, ledger)


@contextlib.contextmanager
def mounted(case: unittest.TestCase, folder: Path, *words: str) -> Iterator[None]:
    """A file system at that folder; where that cannot be the test is skipped, and says why."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *words, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"skipped, no mount here: {done.stderr.strip()}", file=sys.stderr)
        case.skipTest(f"no mount here: {done.stderr.strip()}")
    try:
        yield
    finally:
        until("unmounted", 20, lambda: subprocess.run(["umount", str(folder)], check=False).returncode == 0)


FS_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2


class RealDisk(unittest.TestCase):
    """File systems as they are: no room, read-only, and a file system that stops at once."""

    def ext4(self, desk: Desk) -> tuple[str, ...]:
        image = desk.folder / "image"
        with open(image, "wb") as file:
            file.truncate(12 << 20)
        done = subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], capture_output=True, text=True, check=False)
        if done.returncode:
            self.skipTest(f"no ext4 here: {done.stderr.strip()}")
        return "-o", "loop", str(image)

    def test_no_room_and_room_again(self) -> None:
        draw = random.Random(seed_of_run())
        with Desk(brokers=NOBODY, more=SMALL) as desk, contextlib.ExitStack() as stack:
            spool, ledger = desk.folder / "spool", Ledger(desk)
            stack.enter_context(mounted(self, spool, "-t", "tmpfs", "-o", "size=768k", "tmpfs"))
            stack.callback(lambda: desk.process and desk.process.kill())
            filler = spool / "filler"
            filler.write_bytes(bytes(400 << 10))
            process = desk.start()
            while 503 not in ledger.load(1, 20, draw, 6000):
                pass
            until("not ready", 20, lambda: desk.readyz()[0] == 503)
            self.assertIn("full", desk.readyz()[1])
            self.assertGreater(desk.metric("callstream_spool_errors_total"), 0)
            filler.unlink()  # somebody makes room
            until("ready again", 20, lambda: desk.readyz()[0] == 200)
            self.assertEqual(200, ledger.one())
            while 503 not in ledger.load(1, 20, draw, 6000):
                pass
            left = os.statvfs(spool)
            with contextlib.suppress(OSError):
                filler.write_bytes(bytes(left.f_bavail * left.f_frsize))  # not a block is left
            self.assertEqual(503, ledger.one(6000))
            process.kill()
            reach(desk, os.environ["CALLSTREAM_BROKERS"])
            counted, aside = finish(desk, ledger)  # from a full disk: what is drained makes room
            self.assertEqual(counted, aside)

    def test_read_only(self) -> None:
        draw = random.Random(seed_of_run())
        with Desk(brokers=NOBODY, more=SMALL) as desk, contextlib.ExitStack() as stack:
            spool, ledger = desk.folder / "spool", Ledger(desk)
            loop = self.ext4(desk)
            with mounted(self, spool, *loop):
                try:
                    process = desk.start()
                    self.assertEqual({200}, set(ledger.load(2, 10, draw)))
                    subprocess.run(["mount", "-o", "remount,abort", str(spool)], check=True)  # as after an error
                    self.assertNotIn(200, ledger.load(2, 3, draw))
                    until("not ready", 20, lambda: desk.readyz()[0] == 503)
                    self.assertEqual(0, process.stop())
                    with self.assertRaisesRegex(AssertionError, "[Rr]ead-only"):
                        desk.start()
                finally:
                    assert desk.process
                    desk.process.kill()
            stack.enter_context(mounted(self, spool, *loop))
            stack.callback(lambda: desk.process and desk.process.kill())
            reach(desk, os.environ["CALLSTREAM_BROKERS"])
            finish(desk, ledger)

    def test_a_file_system_that_stops(self) -> None:
        """ext4 forgets what was not synced, its journal included: a power cut that we did not model."""
        draw = random.Random(seed_of_run())
        with Desk(brokers=NOBODY, more=SMALL) as desk, contextlib.ExitStack() as stack:
            spool, ledger = desk.folder / "spool", Ledger(desk)
            loop = self.ext4(desk)
            for _ in range(10 if LONG else 2):
                with mounted(self, spool, *loop):
                    process = desk.start()
                    sender = Sender(ledger, draw)
                    until("some", 20, lambda: len(ledger.accepted) > sender.before + draw.randrange(10, 60), 0.001)
                    stop = os.open(spool, os.O_RDONLY)
                    fcntl.ioctl(stop, FS_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
                    os.close(stop)
                    process.kill()
                    sender.end()
            stack.enter_context(mounted(self, spool, *loop))
            stack.callback(lambda: desk.process and desk.process.kill())
            reach(desk, os.environ["CALLSTREAM_BROKERS"])
            counted, aside = finish(desk, ledger)
            self.assertEqual(counted, aside)
            print(f"{len(ledger.accepted)} accepted before the stops", file=sys.stderr)


if __name__ == "__main__":
    unittest.main()
