"""Every fault point on the real broker: the process dies there by SIGKILL, under load, and nothing is lost.

The rows come from the program itself (lib/base/fault.h). A round hits each point once in every role
that passes it: three lanes, one for each role, in one office under one load. A death's restart is
the start that has the next point.
"""

from __future__ import annotations

import os
import random
import re
import signal
import sys
import threading
import time
import traceback
import unittest
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lib_cs import Office, Process, callstream, get, until
from lib_load import Load

import topics  # lib_cs puts bench/ on the path

ROUNDS = 50 if os.environ.get("CALLSTREAM_LONG") else 1
HIT_SECONDS = 60
COMMITS = "callstream_transactions_total"
PARTITIONS = 4
_WITH_CALLS = r'callstream_correlate_calls_(?:open|remembered)\{partition="(\d+)"\} [1-9]'
CALLS_MAX, RATE = 6000, 110.0
# Which roles pass a point, by the first word of its name.
LANES = {
    "txn": ("correlate", "deliver"),
    "wire": ("correlate", "deliver"),
    "correlate": ("correlate",),
    "takeover": ("correlate",),
    "handover": ("correlate",),
    "leave": ("correlate",),
    "deliver": ("deliver",),
    "ingest": ("ingest",),
    "spool": ("ingest",),
    "drain": ("ingest",),
}
# The latest passage to die at, where a process comes by more than once or twice.
PASSAGES_MAX = {
    "txn": 4,
    "wire_messages_acked": 6,
    "wire_partitions_added": 4,
    "wire_group_added": 4,
    "wire_offsets_pending": 4,
    "wire_end": 4,
    "correlate_between_slices": 20,
    "takeover": 2,
    "takeover_done": 1,
    "takeover_replaying": 10,
    "deliver_routed": 20,
    "deliver_accepted": 20,
    "deliver_sent": 10,
    "deliver_answered": 10,
    "deliver_entry_written": 20,
    "deliver_committed": 5,
    "deliver_restoring": 100,
    "deliver_restored": 2,
    "ingest": 40,
    "spool_written": 15,
    "spool_synced": 15,
    "spool_cursor": 5,
    "drain": 60,
}
PROCESSES = (("ingest", "ingest"), ("correlate", "one"), ("correlate", "two"), ("deliver", "deliver"))
# What is passed only while a process takes over what another one, or itself before, had.
AT_START = ("takeover", "deliver_restor", "wire_fenced", "wire_joined", "wire_synced")
# A transaction that is left behind with something in it.
ABANDONING = ("wire_messages_acked", "wire_offsets_pending", "txn_offsets_sent", "wire_partitions_added")


def table() -> list[str]:
    """The points, as the program tells them to who asks for one that there is not."""
    done = callstream("run", CALLSTREAM_FAULT="?")
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 1 and "no fault point" in lines[0], f"no fault points in this build: {lines[:1]}"
    return [line.partition(":")[0] for line in lines[1:] if ": " in line]


def passages_max(point: str) -> int:
    """By the longest beginning of its name that is known."""
    known = [name for name in PASSAGES_MAX if point.startswith(name)]
    return PASSAGES_MAX[max(known, key=len)] if known else 1


@dataclass
class Round:
    """One office, what has been hit in it, and who failed first."""

    office: Office
    seed: int
    load: Load
    history: list[str] = field(default_factory=list)
    failure: str = ""

    def check(self) -> None:
        """Ends a lane when another one, or the load, has failed."""
        reason = self.failure or self.load.failure
        if reason:
            raise RuntimeError(f"given up: {reason.splitlines()[0]}")

    def wait(self, what: str, look: Callable[[], object], seconds: float = HIT_SECONDS) -> None:
        """until, for lanes."""

        def looked() -> object:
            self.check()
            return look()

        until(what, seconds, looked)


class Lane:
    """The points of one role, one after the other; the process that runs at its end has none."""

    def __init__(self, round_: Round, role: str, points: list[str]) -> None:
        self.round, self.role, self.points = round_, role, points
        self.office, self.rng = round_.office, random.Random(f"{role} {round_.seed}")
        self.name = role
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        """In any order; a failure says which points came before."""
        self.rng.shuffle(self.points)
        try:
            for point in self.points:
                self.hit(point)
            self.start()
            self.office.ready(self.name)
        except Exception:  # pylint: disable=broad-except
            self.round.failure = self.round.failure or f"lane {self.role}: {traceback.format_exc()}"

    def start(self, **env: str) -> Process:
        """The role's process."""
        return self.office.role(self.role, self.name, **env)

    def hit(self, point: str) -> None:
        """Starts the process with the point, brings it there, and sees it die."""
        passage = f"{point}:{self.rng.randint(1, passages_max(point))}"
        began = time.monotonic()
        self.round.history.append(f"{self.name} {passage}")
        log = self.office.folder / f"{self.name}.log"
        before = log.stat().st_size
        self.office.processes[self.name].kill()  # unless it has died at the point before
        process = self.start(CALLSTREAM_FAULT=passage)
        while point.startswith(AT_START) and self.is_ready(process):
            process = self.start_again(passage, process)
        self.provoke(point, process)
        self.round.wait(f"death of {self.name} at {passage}", lambda: not process.running())
        said = log.read_bytes()[before:].decode("utf-8", "replace")
        assert process.process.wait() == -signal.SIGKILL, f"{passage}: ended with {process.process.wait()}: {said}"
        assert f"fault point {point}\n" in said, f"{passage}: killed by somebody else: {said}"
        self.round.history.append(f"{self.name} {passage} died after {time.monotonic() - began:.1f} s")

    def start_again(self, passage: str, process: Process) -> Process:
        """There was nothing to replay or restore; now there is, once it has worked."""
        self.round.wait(
            f"work of {self.name}",
            lambda: not process.running() or self.office.metric(self.name, COMMITS) >= 3,
        )
        if not process.running():
            return process
        process.kill()
        return self.start(CALLSTREAM_FAULT=passage)

    def is_ready(self, process: Process) -> bool:
        """Waits for it; False: it has died already."""
        url = f"http://{self.office.admin[self.name]}/readyz"
        self.round.wait(f"{self.name} ready", lambda: not process.running() or get(url)[0] == 200)
        return process.running()

    def provoke(self, point: str, process: Process) -> None:
        """What has to happen so that the point is reached; most are by themselves."""


class Ingest(Lane):
    """What makes an event durable is the point's choice; the spool's segments are small."""

    def start(self, **env: str) -> Process:
        ack = "kafka" if env.get("CALLSTREAM_FAULT", "").startswith("ingest_log") else "spool"
        text = self.office.config.read_text(encoding="utf-8")
        more = f"ack: {ack}, spool_bytes_max: 1MiB, keep_raw: true}}"
        config = self.office.folder / f"ingest-{ack}.yaml"
        config.write_text(text.replace("ack: auto}", more), encoding="utf-8")
        return self.office.role("ingest", config=config, **env)


class Deliver(Lane):
    """Points of its end need an end."""

    def provoke(self, point: str, process: Process) -> None:
        if point in ("deliver_landed", "deliver_handed_over") and self.is_ready(process):
            process.signal(signal.SIGTERM)


class Correlate(Lane):
    """Two correlators; either may be the one that dies, and the other takes over where it is to."""

    names = ("one", "two")
    name = "one"

    def run(self) -> None:
        self.left_dead = self.rng.choice(ABANDONING)
        super().run()

    def hit(self, point: str) -> None:
        self.name = self.rng.choice(self.names)
        super().hit(point)
        if point == self.left_dead:
            self.leave_dead()

    def start(self, **env: str) -> Process:
        if not self.office.processes[self.other].running():
            self.office.role("correlate", self.other)
        return self.office.role("correlate", self.name, **env)

    @property
    def other(self) -> str:
        """The one that lives."""
        return self.names[self.name == self.names[0]]

    def taken_over(self, name: str) -> int:
        """How often this one has taken a partition over."""
        return self.office.processes[name].log.read_bytes().count(b"partition taken over")

    def leave_dead(self) -> None:
        """Its transaction is left open: the other one waits for the broker to end it, and takes over."""
        before = self.taken_over(self.other)
        self.round.wait(f"{self.other} instead of {self.name}", lambda: self.taken_over(self.other) > before)
        self.office.ready(self.other)

    def provoke(self, point: str, process: Process) -> None:
        while point.startswith("handover") and self.is_ready(process):
            self.rebalance(process)
        if point.startswith("leave") and self.is_ready(process):
            process.signal(signal.SIGTERM)

    def has_calls_everywhere(self) -> bool:
        """Under load: are all partitions its own?"""
        text = get(f"http://{self.office.admin[self.name]}/metrics")[1]
        return len(set(re.findall(_WITH_CALLS, text))) == PARTITIONS

    def rebalance(self, process: Process) -> None:
        """The other one goes in order and comes back: the victim gets its partitions and has to give some up."""
        self.office.ready(self.other)
        assert self.office.processes[self.other].stop() == 0
        self.round.wait("all partitions", lambda: not process.running() or self.has_calls_everywhere())
        before = self.taken_over(self.other)
        self.office.role("correlate", self.other)
        # A commit that meets the rebalance is aborted, and nothing is handed over: then once more.
        self.round.wait("a rebalance", lambda: not process.running() or self.taken_over(self.other) > before)


def aborted(office: Office) -> dict[str, int]:
    """Messages that no read-committed reader sees, by topic: those of aborted transactions, once none is open."""
    found = {}
    for name in ("calls", "state", "tasks", "deliveries"):
        both = [topics.read_all(office.brokers, office.prefix + name, committed) for committed in (False, True)]
        committed = {(m.partition, m.offset) for m in both[1]}
        found[name] = sum((m.partition, m.offset) not in committed for m in both[0])
    return found


class Points(unittest.TestCase):
    """Rounds."""

    seconds_max = ROUNDS * 600

    def test_a_point_that_there_is_not(self) -> None:
        for text in ("nowhere", "txn_produced:0", "txn_produced:x", "txn_produced:1x", ""):
            done = callstream("run", "ingest", CALLSTREAM_FAULT=text)
            self.assertEqual(1, done.returncode, text)
            self.assertIn(f"CALLSTREAM_FAULT={text}: no fault point", done.stderr.decode())

    def test_rounds(self) -> None:
        points = table()
        self.assertGreater(len(points), 40)
        for number in range(ROUNDS):
            seed = int(os.environ.get("CALLSTREAM_SEED", "0")) or random.randrange(1, 1 << 31)
            with self.subTest(number=number, seed=seed):
                self.round(points, seed)

    def round(self, points: list[str], seed: int) -> None:
        """All of them once."""
        began = time.monotonic()
        with Office(partitions=PARTITIONS) as office:
            load = Load(office, CALLS_MAX, RATE, seed)
            office.write_config()
            office.crm("--errors", "0.02", "--losses", "0.01")
            for role, name in PROCESSES:
                office.role(role, name)
            office.ready(*(name for _, name in PROCESSES))
            round_ = Round(office, seed, load)
            lanes = [
                lane(round_, role, [p for p in points if role in LANES[p.split("_")[0]]])
                for role, lane in (("ingest", Ingest), ("correlate", Correlate), ("deliver", Deliver))
            ]
            try:
                with load:
                    self.run_lanes(round_, lanes)
                spent = time.monotonic() - began
                load.finish()
                report = office.verify(deadline=120, faults=True)
                self.end(office)
                left = aborted(office)
            finally:
                print("points, in this order:\n  " + "\n  ".join(round_.history), file=sys.stderr)
            self.assertGreater(left["calls"] + left["state"], 0, left)
            self.assertGreater(left["tasks"] + left["deliveries"], 0, left)
            print(
                f"{sum(len(lane.points) for lane in lanes)} deaths in {spent:.0f} s, verified after "
                f"{time.monotonic() - began:.0f} s: {report['records']} calls, {report['revisions']} revisions, "
                f"messages of aborted transactions: {left}",
                file=sys.stderr,
            )

    def run_lanes(self, round_: Round, lanes: list[Lane]) -> None:
        """Side by side, since that is how they die."""
        for lane in lanes:
            lane.thread.start()
        for lane in lanes:
            lane.thread.join()
        if round_.failure:
            self.fail(round_.failure)
        for lane in lanes:
            hit = [line for line in round_.history if " died " in line]
            for point in lane.points:
                self.assertTrue(any(f" {point}:" in line for line in hit), point)

    def end(self, office: Office) -> None:
        """In order, so that no transaction is open."""
        for _, name in PROCESSES:
            self.assertEqual(0, office.processes[name].stop(), name)


if __name__ == "__main__":
    unittest.main()
