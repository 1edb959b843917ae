"""Canonical events straight into topic `events`, and a strict look at what comes out in `calls`.

The truth is the program's own `correlate --stdin` over the same events: a run that nothing disturbs.
"""

from __future__ import annotations

import datetime
import json
import random
import subprocess
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lib_cs import Office, Process, callstream

ACCOUNT = "acme"
ACCOUNTS = """accounts:
  - name: acme
    source: callgear
    timezone: Europe/Moscow
    insecure: true
    recordings: never
"""
# What may differ from an undisturbed run (contract 3.2).
_FREE = ("revision", "complete", "notes")

Event = tuple[str, dict[str, Any]]  # key of the message, event


def iso(ms: int) -> str:
    """An instant as the contract writes it."""
    at = datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def event(session: str, kind: str, at_ms: int, **more: Any) -> Event:
    """One event of a call."""
    value = {
        "schema": "callstream.event/1",
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{session}/{kind}/{more.get('leg_id', '')}")),
        "account": ACCOUNT,
        "source": "callgear",
        "call_session_id": session,
        "kind": kind,
        "at": iso(at_ms),
        "received_at": iso(at_ms + 40),
        "direction": "in",
        **more,
    }
    return f"{ACCOUNT}/{session}", value


def call(session: str, at_ms: int, rng: random.Random) -> list[Event]:
    """A call with an end, in the order of its time; some repeat an event or ring twice."""
    employee = {"id": "48213", "extension": "101", "name": "Whitfield Dana"}
    leg = {"leg_id": "1", "employee": employee}
    talk = {"leg_ids": ["1"], "employee": employee}
    events = [
        event(session, "call.started", at_ms, line="74951234567", contact={"number": "79161234567"}),
        event(session, "leg.ringing", at_ms + 300, **leg),
    ]
    if rng.random() < 0.3:
        events.append(event(session, "leg.ringing", at_ms + 900, leg_id="2", employee={"id": "7"}))
    if rng.random() < 0.7:
        events.append(event(session, "talk.started", at_ms + 2000, **talk))
        events.append(event(session, "talk.ended", at_ms + 7000, **talk))
    events.append(event(session, "call.ended", at_ms + 7100, ended_at=iso(at_ms + 7100)))
    if rng.random() < 0.1:
        events.append(rng.choice(events))
    return events


def interleave(calls: Iterable[list[Event]], rng: random.Random, at_once: int = 200) -> list[Event]:
    """The events of many calls as one stream: each call in its order, many at a time."""
    waiting = [list(reversed(c)) for c in calls]
    waiting.reverse()
    open_calls: list[list[Event]] = []
    stream = []
    while waiting or open_calls:
        while waiting and len(open_calls) < at_once:
            open_calls.append(waiting.pop())
        at = rng.randrange(len(open_calls))
        stream.append(open_calls[at].pop())
        if not open_calls[at]:
            open_calls[at] = open_calls[-1]
            open_calls.pop()
    return stream


class Feed:
    """A producer that stays connected."""

    def __init__(self, office: Office) -> None:
        words = ["kcat", "-P", "-b", office.brokers, "-t", f"{office.prefix}events", "-K", "\t"]
        words += ["-X", "topic.partitioner=murmur2_random", "-X", "enable.idempotence=true"]
        words += ["-X", "linger.ms=5", "-X", "message.timeout.ms=120000", "-z", "lz4"]
        self.words = words
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE)
        self.sent: list[Event] = []

    def send(self, events: Iterable[Event]) -> None:
        """Hands these over; they leave within moments, but kcat may hold the last two back (flush)."""
        assert self.process.stdin is not None
        rows = list(events)
        lines = (f"{key}\t{json.dumps(value, separators=(',', ':'))}\n" for key, value in rows)
        self.process.stdin.write("".join(lines).encode())
        self.process.stdin.flush()
        self.sent += rows

    def close(self) -> None:
        """Returns when the broker has them all."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        if self.process.wait(120) != 0:
            raise RuntimeError("kcat could not produce")


    def flush(self) -> None:
        """Returns when the broker has them all; more may follow."""
        self.close()
        self.process = subprocess.Popen(self.words, stdin=subprocess.PIPE)


class Reader:
    """All messages of a topic, read-committed, as they come."""

    def __init__(self, office: Office, topic: str) -> None:
        self.log = office.folder / f"{topic}.read"
        words = ["kcat", "-C", "-u", "-q", "-b", office.brokers, "-t", office.prefix + topic]
        words += ["-X", "isolation.level=read_committed", "-X", "topic.metadata.refresh.interval.ms=500"]
        words += ["-f", "%p\t%o\t%k\t%s\n"]
        self.process = Process(words, self.log, {})
        office.processes[f"reader of {topic}"] = self.process

    def rows(self) -> list[tuple[int, str, dict[str, Any]]]:
        """Partition, key and value of every whole message so far."""
        whole, _, _ = self.log.read_bytes().rpartition(b"\n")
        found = []
        for line in whole.decode().split("\n"):
            cells = line.split("\t", 3)
            if len(cells) == 4 and cells[0].isdigit():
                found.append((int(cells[0]), cells[2], json.loads(cells[3])))
        return found

    def calls(self) -> set[str]:
        """Keys so far."""
        return {key for _, key, _ in self.rows()}


def undisturbed(config: Path, events: list[Event]) -> dict[str, dict[str, Any]]:
    """The last revision of each call, by id, of a run without a log."""
    lines = "".join(json.dumps(value) + "\n" for _, value in events)
    done = callstream("correlate", "--stdin", "--config", str(config), stdin=lines.encode(), timeout=240)
    if done.returncode != 0:
        raise AssertionError(done.stderr.decode())
    records = [json.loads(line) for line in done.stdout.splitlines()]
    return {record["id"]: record for record in records}


def facts(record: dict[str, Any]) -> dict[str, Any]:
    """What a record must say, whatever happened on the way."""
    return {key: value for key, value in record.items() if key not in _FREE}


def check(reader: Reader, truth: dict[str, dict[str, Any]], revisions_max: int = 1 << 30) -> None:
    """Every call, no revision twice or back, the last one true."""
    last: dict[str, dict[str, Any]] = {}
    where: dict[str, int] = {}
    for partition, key, record in reader.rows():
        assert key == record["id"], record
        assert where.setdefault(key, partition) == partition, f"{key} lies in two partitions"
        before = last[key]["revision"] if key in last else 0
        assert record["revision"] > before, f"{key}: revision {record['revision']} after {before}"
        assert record["revision"] <= revisions_max, f"{key}: revision {record['revision']}"
        last[key] = record
    missing, extra = truth.keys() - last.keys(), last.keys() - truth.keys()
    assert not missing, f"{len(missing)} calls without a record"
    assert not extra, f"{len(extra)} calls that nobody made"
    for key, record in last.items():
        assert facts(record) == facts(truth[key]), f"{record}\n!=\n{truth[key]}"
