"""What a restart makes of a correlator's table: other rules, full tables, many calls, a compacted topic state."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path

from lib_cs import BINARY, Broker, Office, get, until
from lib_events import ACCOUNTS, Event, Feed, Reader, check, event, undisturbed
from test_correlate import finish, now_ms, pour, seeded, started, stream

import topics  # lib_cs puts bench/ on the path

LONG = bool(os.environ.get("CALLSTREAM_LONG"))
PARTITIONS = 2


class Dump:
    """The tables of all partitions as a restart would make them now (table_dump.c)."""

    def __init__(self, office: Office, how: str = "state", kept: dict[int, Path] | None = None) -> None:
        self.tables: list[list[str]] = []
        self.replayed = 0
        for partition in range(PARTITIONS):
            words = [str(BINARY.with_name("table_dump")), str(office.config), str(partition), how]
            words += [str(kept[partition])] if kept else []
            done = subprocess.run(words, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, done.stderr
            self.tables.append(done.stdout.splitlines())
            self.replayed += sum(map(int, re.findall(r"replayed=(\d+)", done.stderr)))

    def content(self) -> list[list[str]]:
        """The tables without the numbers of commits and the clocks, which go on."""
        return [[line for line in table if not line.startswith("commit")] for table in self.tables]

    def open_calls(self) -> int:
        """All of them."""
        return sum(int(table[0].split()[1]) for table in self.tables)


def change(office: Office, old: str, new: str) -> None:
    """Another config."""
    text = office.config.read_text(encoding="utf-8")
    assert old in text, old
    office.config.write_text(text.replace(old, new), encoding="utf-8")


def begin(session: str) -> list[Event]:
    """A call that has not ended."""
    at = now_ms()
    return [event(session, "call.started", at, line="74951234567"), event(session, "leg.ringing", at + 200, leg_id="1")]


def end(session: str) -> Event:
    """Its end."""
    return event(session, "call.ended", now_ms() + 9000)


def last_of(reader: Reader) -> dict[str, dict[str, object]]:
    """The newest record by session."""
    return {record["call_session_id"]: record for _, _, record in reader.rows()}


class OtherRules(unittest.TestCase):
    """Each crash is followed by a start with other settings."""

    seconds_max = 300

    def restart(self, office: Office, old: str, new: str) -> None:
        """kill -9, another config, ready again and aware of it."""
        office.processes["correlate"].kill()
        change(office, old, new)
        office.role("correlate")
        office.ready("correlate")
        _, _, life = office.processes["correlate"].log.read_text().rpartition("msg=starting")
        self.assertIn("other_rules=1", life)

    def test_closers_country_and_accounts(self) -> None:
        """Calls are closed by rules that come and go: revisions go on, and the last one is the truth."""
        rng = seeded()
        quiet = [f"quiet{i}" for i in range(60)]
        with started("correlate", partitions=PARTITIONS, silent="2h", checkpoint="2s") as (office, reader, feed):
            feed.send(e for session in quiet for e in begin(session))
            feed.send(stream(rng, 100))
            feed.flush()
            until("the first records", 30, lambda: len(reader.calls()) >= 100)

            self.restart(office, "silent_call_after: 2h", "silent_call_after: 2s")
            until("the silent ones", 30, lambda: len(reader.calls()) == 160)
            for session in quiet:
                record = last_of(reader)[session]
                self.assertEqual((1, ["closed_by_timeout"]), (record["revision"], record["notes"]))

            self.restart(office, "silent_call_after: 2s", "silent_call_after: 2h")
            feed.send(stream(rng, 50, "more"))
            self.restart(office, "kafka:", 'numbers: {country: "KZ"}\nkafka:')
            feed.send(stream(rng, 50, "again"))
            self.restart(office, ": acme", ": other")
            feed.send(end(session) for session in quiet)
            feed.flush()
            until("the ends", 30, lambda: all("notes" not in last_of(reader)[s] for s in quiet))
            self.restart(office, ": other", ": acme")
            feed.send(stream(rng, 20, "last"))
            finish(office, reader, feed)
            for session in quiet:
                self.assertGreaterEqual(last_of(reader)[session]["revision"], 2)
            self.assertEqual(0, office.processes["correlate"].stop())


class FullTable(unittest.TestCase):
    """More calls than open_calls_max under load, with crashes: the longest-silent are closed, each is
    counted, what comes for them later is kept, and when there is room again all is as ever."""

    seconds_max = 300
    most = 200
    calls = 1500

    def closed_by_limit(self, office: Office) -> int:
        """How many the process has counted."""
        _, text = get(f"http://{office.admin['correlate']}/metrics")
        found = re.search(r'^callstream_correlate_calls_closed_total\{closed_by="limit"\} (\d+)', text, re.M)
        return int(found[1]) if found else 0

    def test_limit_and_recovery(self) -> None:
        rng = seeded()
        sessions = [f"f{i}" for i in range(self.calls)]
        with Office(session_ms=6000, partitions=PARTITIONS, silent="2h", checkpoint="1s") as office:
            office.write_config(ACCOUNTS)
            change(office, "remember_closed: 10m", f"remember_closed: 2s, open_calls_max: {self.most}")
            office.role("correlate")
            office.ready("correlate")
            feed, reader, dead = Feed(office), Reader(office, "calls"), Reader(office, "dead")
            try:
                self.fill(office, feed, reader, sessions)
                feed.send(end(session) for session in sessions)
                feed.flush()
                whole = 2 * self.calls
                until("every end", 60, lambda: len(reader.rows()) + len(dead.rows()) + self.still(reader) == whole)
                self.check_account(office, reader, dead, sessions)
                until("room", 30, lambda: office.metric("correlate", "callstream_correlate_calls_remembered") == 0)
                after = stream(rng, self.most // 4, "after")
                feed.send(after)
                feed.close()
                truth = undisturbed(office.config, after)
                until("the later records", 30, lambda: truth.keys() <= reader.calls())
                for session, record in last_of(reader).items():
                    if session.startswith("after"):
                        self.assertNotIn("closed_by_limit", record.get("notes", ()))
                self.assertEqual(0, office.processes["correlate"].stop())
            finally:
                feed.process.kill()
                feed.process.wait()

    def fill(self, office: Office, feed: Feed, reader: Reader, sessions: list[str]) -> None:
        """Open calls without an end; the process dies twice in between."""
        third = len(sessions) // 3
        for i in range(3):
            part = sessions[i * third : (i + 1) * third]
            for _ in pour(feed, [e for session in part for e in begin(session)], 1500):
                pass
            feed.flush()
            wanted = (i + 1) * third - self.most
            until("those that are pushed out", 60, lambda: len(reader.calls()) >= wanted)
            until("all counted", 10, lambda: i > 0 or self.closed_by_limit(office) == len(reader.calls()))
            if i < 2:
                office.processes["correlate"].kill()
                office.role("correlate")
                office.ready("correlate")

    @staticmethod
    def still(reader: Reader) -> int:
        """How many were in the table to their end: they have a record and no dead letter."""
        return sum("closed_by_limit" not in record.get("notes", ()) for record in last_of(reader).values())

    def check_account(self, office: Office, reader: Reader, dead: Reader, sessions: list[str]) -> None:
        """One record each; the ends of those that were pushed out are dead letters, and no others."""
        check(reader, undisturbed_of(last_of(reader)), revisions_max=1)
        pushed_out = {s for s, r in last_of(reader).items() if "closed_by_limit" in r.get("notes", ())}
        self.assertEqual(set(sessions), set(last_of(reader)))
        self.assertGreaterEqual(len(pushed_out), self.calls - self.most)
        letters = [letter for _, _, letter in dead.rows()]
        self.assertEqual({"late"}, {letter["reason"] for letter in letters})
        self.assertEqual(sorted(pushed_out), sorted(letter["original"]["call_session_id"] for letter in letters))
        self.assertEqual({"call.ended"}, {letter["original"]["kind"] for letter in letters})
        self.assertEqual(len(letters), office.metric("correlate", "callstream_correlate_late_total"))


def undisturbed_of(last: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    """The records themselves as a truth: only their revisions are looked at."""
    return {str(record["id"]): record for record in last.values()}


class OpenCalls(unittest.TestCase):
    """Many open calls over a restart, byte for byte."""

    seconds_max = 900
    count = 1_000_000 if LONG else 20_000

    def test_the_table_comes_back_byte_for_byte(self) -> None:
        opened = "callstream_correlate_calls_open"
        with started(partitions=PARTITIONS, silent="2h", checkpoint="30s") as (office, reader, feed):
            # No partition has exactly its part of the calls.
            change(office, "remember_closed: 10m", f"remember_closed: 10m, open_calls_max: {2 * self.count}")
            office.role("correlate")
            office.ready("correlate")
            for i in range(0, self.count, 10_000):
                feed.send(e for j in range(i, i + 10_000) for e in begin(f"o{j}"))
            feed.close()
            until("all calls open", 300, lambda: office.metric("correlate", opened) == self.count, 0.3)
            until("no lag", 60, lambda: office.metric("correlate", "callstream_lag_messages") == 0)
            # What the events make of it, while the process lives; then what it had in memory itself.
            replayed = until("all committed", 60, lambda: self.whole(office), 0.3)
            self.assertGreater(replayed.replayed, 0, "some of it should come from events")
            self.assertEqual(0, office.processes["correlate"].stop())
            written = Dump(office)
            self.assertEqual(0, written.replayed, "all slices should be written")
            self.assertEqual(replayed.content(), written.content())
            # Over a crash and an orderly end nothing changes.
            for kill in (True, False):
                office.role("correlate")
                office.ready("correlate")
                until("all calls open again", 60, lambda: office.metric("correlate", opened) == self.count, 0.2)
                process = office.processes["correlate"]
                self.assertEqual(0, process.kill() or 0 if kill else process.stop())
                self.assertEqual(written.content(), Dump(office).content())
            self.assertEqual([], reader.rows())

    def whole(self, office: Office) -> Dump | None:
        """The tables once every event is committed."""
        dump = Dump(office)
        return dump if dump.open_calls() == self.count else None


def make_small_state(office: Office) -> None:
    """Topic state as nobody would have it but a test."""
    words = [str(BINARY.with_name("fault_probe")), "make-small-state", office.prefix, str(PARTITIONS)]
    subprocess.run(words, check=True, timeout=60, env={**os.environ, "CALLSTREAM_BROKERS": office.brokers})


class Compacted(unittest.TestCase):
    """The broker compacts topic state at once, in tiny segments. A call's events come at such a pace
    that its slice is written several times."""

    seconds_max = 300

    def keep(self, office: Office, follower: topics.Follower) -> dict[int, Path]:
        """What was ever written, a file for each partition."""
        kept = {partition: office.folder / f"state-{partition}" for partition in range(PARTITIONS)}
        for partition, path in kept.items():
            with open(path, "wb") as file:
                for m in follower.messages:
                    if m.partition == partition:
                        file.write(struct.pack("=ii", len(m.key), -1 if m.value is None else len(m.value)))
                        file.write(m.key + (m.value or b""))
        return kept

    def cleaned(self, office: Office, follower: topics.Follower) -> list[topics.Message]:
        """What is left once the log cleaner has thrown away a good part in every partition."""
        left = topics.read_all(office.brokers, office.prefix + "state")
        for partition in range(PARTITIONS):
            before = sum(m.partition == partition for m in follower.messages)
            after = [m.offset for m in left if m.partition == partition]
            if not after or len(after) > before * 0.8 or after[-1] - after[0] < len(after):
                return []
        return left

    def test_the_restored_table_is_the_same(self) -> None:
        rng = seeded()
        with tempfile.TemporaryDirectory(prefix="callstream-broker-") as name:
            with Broker(Path(name) / "kafka", log_cleaner_backoff_ms="200") as broker:
                with Office(brokers=broker.address, session_ms=6000, partitions=PARTITIONS, checkpoint="1s") as office:
                    office.write_config(ACCOUNTS)
                    # Calls leave the table soon, so that there are blocks of the closed index, too.
                    change(office, "remember_closed: 10m", "remember_closed: 1s")
                    make_small_state(office)
                    office.role("correlate")
                    office.ready("correlate")
                    feed, reader = Feed(office), Reader(office, "calls")
                    try:
                        with topics.Follower(office.brokers, office.prefix + "state") as follower:
                            for round_n in range(5 if LONG else 2):
                                self.one_round(office, feed, follower, stream(rng, 450, f"r{round_n}-"))
                        finish(office, reader, feed)
                    finally:
                        feed.process.kill()
                        feed.process.wait()

    def one_round(self, office: Office, feed: Feed, follower: topics.Follower, events: list[Event]) -> None:
        """Load, kill -9, compaction; then both ways of a restart, and a real one."""
        for _ in pour(feed, events, 320):
            pass
        feed.flush()
        office.processes["correlate"].kill()
        left = until("the log cleaner", 60, lambda: self.cleaned(office, follower), 0.3)
        until("the follower", 20, lambda: {*left} <= {*follower.messages})
        compacted = Dump(office)
        self.assertEqual(Dump(office, "kept", self.keep(office, follower)).tables, compacted.tables)
        self.assertGreater(sum(int(table[0].split()[7]) for table in compacted.tables), 0, "the closed index")
        office.role("correlate")
        office.ready("correlate")


if __name__ == "__main__":
    unittest.main()
