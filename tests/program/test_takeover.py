"""Take-overs that go wrong half-way, and processes that wake after they were replaced, on a real broker."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
import time
import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import ingest_util
import test_deliver
from crm_double import LOSE, Double
from lib_cs import BINARY, Office, Process, get, until
from lib_events import Event, Feed, Reader
from test_correlate import finish, pour, seeded, started, stream

PARTITIONS = 3


@contextmanager
def held(office: Office, name: str) -> Iterator[Callable[[], None]]:
    """A transaction that somebody has left open in every partition; what is yielded ends it."""
    words = [str(BINARY.with_name("fault_probe")), name, office.prefix, str(PARTITIONS)]
    environment = {**os.environ, "CALLSTREAM_BROKERS": office.brokers}
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as holder:
        assert holder.stdin is not None and holder.stdout is not None
        try:
            assert holder.stdout.readline() == b"held\n"
            yield holder.stdin.close
            assert holder.wait(30) == 0
        finally:
            holder.kill()


def ended(process: Process, seconds: float = 40) -> None:
    """Waits until a process has died where it was told to."""
    until("its death", seconds, lambda: not process.running())
    assert process.process.returncode == -signal.SIGKILL, process.tail()


def open_parts(office: Office) -> set[int]:
    """The partitions of topic state whose end a transaction hides."""
    words = [str(BINARY.with_name("fault_probe")), "tell-open", office.prefix, str(PARTITIONS)]
    environment = {**os.environ, "CALLSTREAM_BROKERS": office.brokers}
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True, env=environment)
    return {int(line) for line in done.stdout.split()}


def pour_until(feed: Feed, events: list[Event], rate: float, look: Callable[[], object]) -> list[Event]:
    """Sends at a pace until something is true; what was not sent yet."""
    before = len(feed.sent)
    for _ in pour(feed, events, rate):
        if look():
            break
    return events[len(feed.sent) - before :]


def commits(office: Office, name: str) -> float:
    """How many transactions it has ended."""
    return office.metric(name, "callstream_transactions_total")


def taken(process: Process) -> set[int]:
    """The partitions that it has ever taken over."""
    return {int(n) for n in re.findall(r'"partition taken over" partition=(\d+)', process.log.read_text())}


class Abandoned(unittest.TestCase):
    """A transaction that its owner left open, and successors that die before it is over."""

    def check_end(self, office: Office, reader: Reader, feed: Feed, last: str) -> None:
        """Everything is there once, and the last one takes its leave in order."""
        finish(office, reader, feed)
        self.assertEqual(0, office.processes[last].stop())

    def test_offsets_of_the_dead_are_pending(self) -> None:
        """Whoever takes over waits for them, also when the one before died while it waited."""
        rng = seeded()
        with started("one", partitions=PARTITIONS, session_ms=2000, checkpoint="1s") as (office, reader, feed):
            events = stream(rng, 500)
            events = pour_until(feed, events, 700, lambda: len(reader.calls()) > 100)
            office.processes["one"].kill()
            with held(office, "hold-all") as let_go:
                before = reader.calls()
                for name in ("two", "three"):
                    process = office.role("correlate", name)
                    until("the wait", 40, lambda: "asking on" in process.tail())
                    feed.send(events[:400])
                    events = events[400:]
                    if name == "two":
                        process.kill()
                self.assertNotEqual(200, get(f"http://{office.admin['three']}/readyz")[0])
                self.assertEqual(before, reader.calls())
                let_go()
                office.ready("three", seconds=30)
            feed.send(events)
            self.check_end(office, reader, feed, "three")

    def test_a_newer_state_is_hidden(self) -> None:
        """An owner works on behind a transaction that others left open, and dies: what it has
        committed is not readable yet, but it is not older than the offsets that are."""
        rng = seeded()
        with started("one", partitions=PARTITIONS, session_ms=2000, checkpoint="1s") as (office, reader, feed):
            events = stream(rng, 500)
            events = pour_until(feed, events, 700, lambda: len(reader.calls()) > 50)
            with held(office, "hold-messages") as let_go:
                n = commits(office, "one") + 8
                events = pour_until(feed, events, 500, lambda: commits(office, "one") >= n)
                self.assertTrue(events, "the load should outlast that")
                office.processes["one"].kill()
                for name, point in (("two", "takeover_end_known"), ("three", "takeover_offset_known:2")):
                    ended(office.role("correlate", name, CALLSTREAM_FAULT=point))
                self.assertEqual(PARTITIONS, len(open_parts(office)))
                before = reader.calls()
                office.role("correlate", "four")
                feed.send(events[:300])
                taker = office.processes["four"]
                until("its joining", 30, lambda: get(f"http://{office.admin['four']}/readyz")[0] == 503)
                self.assertEqual(before, reader.calls())
                self.assertTrue(taker.running())
                let_go()
                office.ready("four", seconds=40)
            feed.send(events[300:])
            self.check_end(office, reader, feed, "four")

    def test_killed_in_the_middle_of_a_commit(self) -> None:
        """The real thing: the broker holds offsets of the dead for its transaction's 10 s. A
        successor dies while it waits for them, the next one goes on."""
        rng = seeded()
        with started("zero", partitions=PARTITIONS, session_ms=2000, checkpoint="1s") as (office, reader, feed):
            self.assertEqual(0, office.processes["zero"].stop())
            first = office.role("correlate", "one", CALLSTREAM_FAULT="wire_offsets_pending:10")
            office.ready("one")
            events = stream(rng, 600)
            events = pour_until(feed, events, 400, lambda: not first.running())
            ended(first, 1)
            process = office.role("correlate", "two")
            until("the wait", 15, lambda: "asking on" in process.tail())
            process.kill()
            office.role("correlate", "three")
            feed.send(events)
            office.ready("three", seconds=45)
            self.check_end(office, reader, feed, "three")


class Woken(unittest.TestCase):
    """SIGSTOP for longer than the session; another one has done the work when it goes on."""

    def test_a_correlator_in_the_middle_of_a_transaction(self) -> None:
        rng = seeded()
        often = "1s, commit_every: 10ms"  # so that most moments lie in a transaction
        with started("one", "two", partitions=PARTITIONS, session_ms=2000, checkpoint=often) as (office, reader, feed):
            zombie = office.processes["two"]
            events = stream(rng, 900)

            owned = taken(zombie) - taken(office.processes["one"])

            def stopped_in_its_transaction() -> bool:
                zombie.signal(signal.SIGSTOP)
                if open_parts(office) & owned:
                    return True
                zombie.signal(signal.SIGCONT)
                time.sleep(rng.uniform(0.0, 0.1))  # a random moment, not a wait for something
                return False

            events = pour_until(feed, events, 70, stopped_in_its_transaction)
            self.assertTrue(events, "it was never stopped in a transaction")
            events = pour_until(feed, events, 150, lambda: owned <= taken(office.processes["one"]))
            n = commits(office, "one") + 3
            events = pour_until(feed, events, 150, lambda: commits(office, "one") >= n)
            self.assertTrue(events, "the load should outlast the take-over")
            zombie.signal(signal.SIGCONT)
            feed.send(events)
            finish(office, reader, feed)
            office.ready("one", "two")

    def test_a_deliver_with_a_short_session(self) -> None:
        """The CRM hears no older revision after a newer one, however short the session is."""
        names = [f"crm-{i}" for i in range(3)]
        rng = random.Random(seeded().random())
        with Double([test_deliver.SECRET]) as double:
            moody = lambda _ident, seen: rng.choice((200, 500, LOSE)) if seen < 2 else 200  # noqa: E731
            double.moods = {name: moody for name in names}
            sinks = [test_deliver.webhook(name, double) for name in names]
            with ShortDesk(sinks, [f"account: acme, sinks: [{', '.join(names)}]"]) as desk:
                desk.run_deliver()
                desk.run_deliver("second")
                for revision in range(1, 10, 3):
                    self.one_round(desk, double, names, revision)
                for name in names:
                    self.assertEqual([], double.went_back(name), history(double, name))
                for name in ("deliver", "second"):
                    self.assertEqual(0, desk.processes[name].stop(), name)

    def one_round(self, desk: test_deliver.Desk, double: Double, names: list[str], revision: int) -> None:
        """Both know the work; one stands still at a random moment of it, the other goes on, it wakes."""
        calls = 60
        zombie = desk.processes[("deliver", "second")[revision % 2]]
        desk.produce([test_deliver.record(str(i), revision) for i in range(calls)])
        until("an arrival", 30, lambda: any(revision in double.newest(name).values() for name in names), pause=0.002)
        zombie.signal(signal.SIGSTOP)
        print(f"{time.monotonic():.3f} stopped {zombie.log.stem}", file=sys.stderr)
        desk.produce([test_deliver.record(str(i), revision + 1) for i in range(calls)])
        until(
            "the other's work",
            60,
            lambda: all(set(double.newest(name).values()) == {revision + 1} for name in names),
        )
        zombie.signal(signal.SIGCONT)
        print(f"{time.monotonic():.3f} woken", file=sys.stderr)
        desk.produce([test_deliver.record(str(i), revision + 2) for i in range(calls)])
        desk.settled(calls * len(names), 60, revision=revision + 2)

    def test_an_ingest_whose_spool_is_wanted(self) -> None:
        """The folder is its own while it lives, also while it stands still: a second one says so and
        touches nothing. Once the first is gone the second has the backlog."""
        with ingest_util.Desk(ack="spool") as desk:
            first = desk.start()
            sent = asyncio.run(self.send(desk, range(20)))
            self.assertEqual([200] * 20, [s.status for s in sent])
            first.signal(signal.SIGSTOP)
            try:
                second = start_beside(desk)
                self.assertEqual(1, second.process.wait(30), second.tail())
                self.assertIn("another process uses this folder", second.tail())
            finally:
                first.signal(signal.SIGCONT)
            sent += asyncio.run(self.send(desk, range(20, 40)))
            self.assertEqual([200] * 40, [s.status for s in sent])
            first.kill()
            desk.start()
            sent += asyncio.run(self.send(desk, range(40, 60)))
            desk.drained()
            self.assertEqual([200] * 60, [s.status for s in sent])
            until("all events", 20, lambda: desk.legs() == {"call": list(range(60))})

    @staticmethod
    async def send(desk: ingest_util.Desk, legs: range) -> list[ingest_util.Sent]:
        """Requests of one call, each answered before the next."""
        return await desk.lane("call", legs)


def history(double: Double, name: str) -> str:
    """When a CRM was told what, of the calls that went back."""
    back = {ident.rpartition("-")[0] for ident in double.went_back(name)}
    told = [a for a in double.arrivals[name] if a.ident.rpartition("-")[0] in back]
    return name + "".join(f"\n{a.at:.3f} {a.ident} {a.outcome}" for a in told)


class ShortDesk(test_deliver.Desk):
    """Deliver with a session of two seconds."""

    def write(self) -> None:
        """The config."""
        super().write()
        text = self.config.read_text(encoding="utf-8")
        session = 'properties: {session.timeout.ms: "2000", heartbeat.interval.ms: "400"}'
        self.config.write_text(text.replace("partitions: 4}", f"partitions: 4, {session}}}"), encoding="utf-8")


def start_beside(desk: ingest_util.Desk) -> Process:
    """A second ingest with the same folder, but with addresses of its own."""
    text = desk.config.read_text(encoding="utf-8")
    config = desk.folder / "second.yaml"
    config.write_text(text.replace(f"127.0.0.1:{desk.port}", "127.0.0.1:0"), encoding="utf-8")
    words = [str(BINARY), "run", "ingest", "--admin", "127.0.0.1:0", "--config", str(config)]
    return Process(words, desk.folder / "second.log", {})


if __name__ == "__main__":
    unittest.main()
