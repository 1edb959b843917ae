"""The correlator on a real broker, at the live tail, while it dies, stops, and changes hands."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import unittest
from collections.abc import Iterator
from contextlib import contextmanager

from lib_cs import BINARY, Office, callstream, get, until
from lib_events import ACCOUNTS, Event, Feed, Reader, call, check, event, interleave, undisturbed

LONG = bool(os.environ.get("CALLSTREAM_LONG"))


def now_ms() -> int:
    """Wall time."""
    return round(time.time() * 1000)


@contextmanager
def started(*names: str, accounts: str = ACCOUNTS, **settings: object) -> Iterator[tuple[Office, Reader, Feed]]:
    """An office with these correlators ready, a reader of `calls`, a producer of `events`."""
    with Office(**{"session_ms": 6000, **settings}) as office:
        office.write_config(accounts)
        for name in names:
            office.role("correlate", name)
        office.ready(*names)
        feed = Feed(office)
        try:
            yield office, Reader(office, "calls"), feed
        finally:
            feed.process.kill()
            feed.process.wait()


def seeded() -> random.Random:
    """Luck with its seed printed."""
    seed = int(os.environ.get("CALLSTREAM_SEED", "0")) or random.randrange(1, 1 << 31)
    print(f"seed {seed}", file=sys.stderr)
    return random.Random(seed)


def stream(rng: random.Random, calls: int, prefix: str = "s") -> list[Event]:
    """The events of many calls."""
    start = now_ms()
    return interleave((call(f"{prefix}{i}", start + i, rng) for i in range(calls)), rng)


def pour(feed: Feed, events: list[Event], rate: float) -> Iterator[None]:
    """Sends at a pace; the caller comes in between, several times a second."""
    began = time.monotonic()
    sent = 0
    while sent < len(events):
        due = min(len(events), int((time.monotonic() - began) * rate) + 1)
        feed.send(events[sent:due])
        sent = due
        yield
        time.sleep(0.02)


def fault(office: Office, name: str) -> subprocess.Popen[bytes]:
    """Does something to the office's topics (fault_probe.c)."""
    words = [str(BINARY.with_name("fault_probe")), name, office.prefix]
    environment = {**os.environ, "CALLSTREAM_BROKERS": office.brokers}
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)


def befall(office: Office, name: str) -> None:
    """The same, until it has happened."""
    with fault(office, name) as process:
        assert process.wait(60) == 0, name


def finish(office: Office, reader: Reader, feed: Feed, seconds: float = 90) -> None:
    """All records are there and right."""
    feed.close()
    truth = undisturbed(office.config, feed.sent)
    until("every record", seconds, lambda: len(reader.calls()) >= len(truth), 0.3)
    check(reader, truth)


class Killed(unittest.TestCase):
    """kill -9 in mid-load, also in the middle of a take-over."""

    seconds_max = 600

    def test_ten_times(self) -> None:
        rng = seeded()
        times = 50 if LONG else 10
        with started("correlate", checkpoint="1s") as (office, reader, feed):
            events = stream(rng, 450 * times)
            kill_at = time.monotonic() + 1
            for _ in pour(feed, events, 350):
                if times == 0 or time.monotonic() < kill_at:
                    continue
                office.processes["correlate"].kill()
                office.role("correlate")
                if times % 2:
                    office.ready("correlate")
                times -= 1
                kill_at = time.monotonic() + rng.uniform(0.1, 2)
            self.assertEqual(0, times, "the load should outlast the kills")
            finish(office, reader, feed)
            self.assertEqual(0, office.processes["correlate"].stop())


class TwoCorrelators(unittest.TestCase):
    """Partitions change hands under load."""

    seconds_max = 300

    def test_one_is_taken_away_and_comes_back(self) -> None:
        rng = seeded()
        with started("one", "two", partitions=5) as (office, reader, feed):
            events = stream(rng, 1500)
            steps = [2.0, 5.0, 8.0]
            began = time.monotonic()
            for _ in pour(feed, events, 650):
                if not steps or time.monotonic() - began < steps[0]:
                    continue
                if len(steps) == 2:
                    office.role("correlate", "two")
                else:
                    self.assertEqual(0, office.processes["two"].stop())
                steps.pop(0)
            finish(office, reader, feed)

    def test_more_than_there_are_partitions(self) -> None:
        """One that has nothing to do is ready all the same."""
        with started("one", "two", partitions=1) as (office, reader, feed):
            feed.send(stream(seeded(), 20))
            finish(office, reader, feed)
            self.assertEqual(0, office.processes["one"].stop())
            feed = Feed(office)
            feed.send(stream(seeded(), 20, "later"))
            feed.close()
            until("the later records", 30, lambda: len(reader.calls()) == 40)

    def test_one_is_stopped_until_it_has_lost_its_partitions(self) -> None:
        rng = seeded()
        with started("one", "two", partitions=4) as (office, reader, feed):
            events = stream(rng, 1200)
            began = time.monotonic()
            stopped = woken = False
            for _ in pour(feed, events, 300):
                passed = time.monotonic() - began
                if not stopped and passed > 1.5:
                    office.processes["two"].signal(signal.SIGSTOP)
                    stopped = True
                if not woken and passed > 13:
                    office.processes["two"].signal(signal.SIGCONT)
                    woken = True
            self.assertTrue(woken)
            finish(office, reader, feed)
            office.ready("one", "two")


class Places(unittest.TestCase):
    """A member has a name: it takes its own place again after a crash, and gives it up when it ends."""

    def test_killed_and_back_before_its_session_is_over(self) -> None:
        with started("correlate", session_ms=60_000, partitions=2) as (office, reader, feed):
            feed.send(stream(seeded(), 20))
            until("records", 30, lambda: len(reader.calls()) == 20)
            office.processes["correlate"].kill()
            office.role("correlate")
            office.ready("correlate", seconds=30)
            feed.send(stream(seeded(), 20, "later"))
            finish(office, reader, feed, 30)

    def test_one_that_ends_in_order_is_not_waited_for(self) -> None:
        with started("one", "two", session_ms=60_000, partitions=2) as (office, reader, feed):
            self.assertEqual(0, office.processes["one"].stop())
            feed.send(stream(seeded(), 20))
            finish(office, reader, feed, 30)


class Stopped(unittest.TestCase):
    """SIGTERM is heard whatever the process waits for."""

    def test_while_offsets_lie_in_a_transaction(self) -> None:
        with Office(session_ms=6000) as office:
            office.write_config(ACCOUNTS)
            office.role("correlate", "first")
            office.ready("first")
            self.assertEqual(0, office.processes["first"].stop())
            with fault(office, "hold-offset") as holder:
                try:
                    assert holder.stdout is not None
                    self.assertEqual(b"held\n", holder.stdout.readline())
                    process = office.role("correlate", "second")
                    until("the wait", 30, lambda: "asking on" in process.tail())
                    self.assertNotEqual(200, get(f"http://{office.admin['second']}/readyz")[0])
                    self.assertEqual(0, process.stop(14))
                finally:
                    holder.kill()


class Timers(unittest.TestCase):
    """Time-outs fire on the clock also where nothing arrives."""

    def test_a_silent_call_on_an_idle_partition(self) -> None:
        with started("correlate", silent="3s") as (office, reader, feed):
            sent = time.monotonic()
            feed.send([event("quiet", "call.started", now_ms())])
            feed.close()
            until("its record", 20, lambda: len(reader.rows()) == 1)
            self.assertGreater(time.monotonic() - sent, 2)
            _, _, record = reader.rows()[0]
            self.assertEqual(["closed_by_timeout"], record["notes"])
            self.assertEqual(1, office.metric("correlate", "callstream_correlate_calls_closed_total"))


class Restarted(unittest.TestCase):
    """The table comes back as it was."""

    seconds_max = 300

    def test_100000_open_calls(self) -> None:
        count = 100_000
        with started("correlate", silent="2h", checkpoint="2s") as (office, reader, feed):
            start = now_ms()
            for i in range(0, count, 10_000):
                for kind, later in (("call.started", 0), ("leg.ringing", 200)):
                    more = {"leg_id": "1"} if kind == "leg.ringing" else {}
                    feed.send(event(f"o{j}", kind, start + later, **more) for j in range(i, i + 10_000))
            opened = "callstream_correlate_calls_open"
            until("all calls open", 90, lambda: office.metric("correlate", opened) == count, 0.3)
            self.assertEqual(0, office.processes["correlate"].stop())
            office.role("correlate")
            office.ready("correlate")
            until("all calls open again", 30, lambda: office.metric("correlate", opened) == count, 0.2)
            self.assertEqual([], reader.rows())
            office.processes["correlate"].kill()
            office.role("correlate")
            feed.send(event(f"o{j}", "call.ended", start + 9000) for j in range(count))
            finish(office, reader, feed, 120)

    def test_other_rules_after_a_crash(self) -> None:
        """What is replayed under other rules leaves as next revisions."""
        rng = seeded()
        with started("correlate", checkpoint="60s") as (office, reader, feed):
            feed.send(stream(rng, 300))
            until("half of the records", 30, lambda: len(reader.calls()) > 150)
            office.processes["correlate"].kill()
            text = office.config.read_text(encoding="utf-8")
            office.config.write_text(text.replace("recordings: never", "recordings: always"), encoding="utf-8")
            office.role("correlate")
            office.ready("correlate")
            self.assertIn("other_rules=1", office.processes["correlate"].tail(100_000))
            feed.send(stream(rng, 50, "later"))
            finish(office, reader, feed)

    def test_unreadable_events_stop_nothing(self) -> None:
        rng = seeded()
        with started("correlate", partitions=1) as (office, reader, feed):
            dead = Reader(office, "dead")
            feed.send(stream(rng, 5))
            for value in ("not json", '"text"', '{"schema":"callstream.event/1"}', "[1]"):
                assert feed.process.stdin is not None
                feed.process.stdin.write(f"acme/x\t{value}\n".encode())
            feed.send(stream(rng, 5, "more"))
            finish(office, reader, feed)
            until("the dead letters", 20, lambda: len(dead.rows()) == 4)
            for _, key, letter in dead.rows():
                self.assertEqual("acme", key)
                self.assertTrue(letter["reason"].startswith("undecodable: "), letter)
                self.assertIsInstance(letter["original"], dict)


class Reset(unittest.TestCase):
    """The way out when state and offset do not fit together."""

    def reset(self, office: Office, *words: str, stdin: bytes = b"") -> tuple[int, str]:
        done = callstream("state", "reset", "--config", str(office.config), *words, stdin=stdin)
        return done.returncode, done.stdout.decode() + done.stderr.decode()

    def test_a_partition_that_does_not_fit(self) -> None:
        rng = seeded()
        with started("correlate", partitions=1, checkpoint="1s") as (office, reader, feed):
            feed.send(stream(rng, 20))
            until("records", 30, lambda: len(reader.calls()) == 20)
            self.assertEqual(0, office.processes["correlate"].stop())

            code, said = self.reset(office, "--partition", "0", stdin=b"no\n")
            self.assertEqual(1, code, said)
            self.assertIn("fit together", said)
            self.assertIn("20 calls", said)
            code, said = self.reset(office, "--partition", "7", "--yes")
            self.assertEqual(1, code, said)
            code, said = self.reset(office)
            self.assertEqual(2, code, said)

            # An older journal than the offset says: as after a disk that lied.
            self.poison(office)
            office.role("correlate")
            until("the refusal", 60, lambda: "cannot be taken over" in self.readyz(office), 0.2)
            code, said = self.reset(office, "--partition", "0", "--yes")
            self.assertEqual(0, code, said)
            self.assertIn("do not fit", said)
            office.ready("correlate", seconds=60)
            feed.send(stream(rng, 10, "later"))
            feed.close()
            until("the later records", 30, lambda: len(reader.calls()) == 30)

    def test_a_topic_that_was_made_anew(self) -> None:
        """Its end lies before the committed offset: the offset is set anew, too."""
        rng = seeded()
        with started("correlate", partitions=1, checkpoint="1s") as (office, reader, feed):
            feed.send(stream(rng, 20))
            feed.close()
            until("records", 30, lambda: len(reader.calls()) == 20)
            self.assertEqual(0, office.processes["correlate"].stop())
            for name in ("make-events-anew", "move-offset-away"):
                befall(office, name)
            office.role("correlate")
            until("the refusal", 60, lambda: "was it made anew" in self.readyz(office), 0.2)
            code, said = self.reset(office, "--partition", "0", stdin=b"no\n")
            self.assertEqual(1, code, said)
            self.assertIn("do not fit: topic events ends before", said)
            self.assertIn("The committed offset is set to 0", said)
            self.assertEqual(0, office.processes["correlate"].stop())
            code, said = self.reset(office, "--partition", "0", "--yes")
            self.assertEqual(0, code, said)
            office.role("correlate")
            office.ready("correlate", seconds=60)
            again = Feed(office)
            again.send(stream(rng, 10, "later"))
            again.close()
            until("the later records", 30, lambda: len(reader.calls()) == 30)

    def test_the_offset_is_not_set_while_correlators_are_at_work(self) -> None:
        with started("correlate", partitions=1) as (office, _, _):
            befall(office, "move-offset-away")
            code, said = self.reset(office, "--partition", "0", "--yes")
            self.assertEqual(1, code, said)
            self.assertIn("correlators are at work", said)

    def test_a_topic_that_has_grown(self) -> None:
        """Not ready, and says what to do."""
        with Office(partitions=1) as office:
            office.write_config(ACCOUNTS)
            text = office.config.read_text(encoding="utf-8")
            text = text.replace("properties: {", 'properties: {topic.metadata.refresh.interval.ms: "500", ')
            office.config.write_text(text, encoding="utf-8")
            office.role("correlate")
            office.ready("correlate")
            befall(office, "grow-events")
            until("the refusal", 60, lambda: "kafka.partitions is 1" in self.readyz(office), 0.2)
            self.assertIn("another kafka.topic_prefix", self.readyz(office))
            self.assertEqual(0, office.processes["correlate"].stop())

    @staticmethod
    def readyz(office: Office) -> str:
        return get(f"http://{office.admin['correlate']}/readyz")[1]

    @staticmethod
    def poison(office: Office) -> None:
        """Every journal entry away."""
        keys = "".join(f"j/{n}\t\n" for n in range(1000))
        words = ["kcat", "-P", "-Z", "-b", office.brokers, "-t", f"{office.prefix}state", "-p", "0", "-K", "\t"]
        subprocess.run(words, input=keys.encode(), check=True, timeout=30)


if __name__ == "__main__":
    unittest.main()
