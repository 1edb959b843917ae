#!/usr/bin/env python3
"""Compares what came out of a run with the generator's truth, and accounts for everything.

Reads the topics read-committed, the sender's answers, and the logs of the CRM and of the file sink. Waits
until every call has its last record and every delivery was taken, --deadline seconds at most; then
prints a table. Exit 0 only when it balances: wrong 0, lost 0, doubled 0.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parent)

from topics import Follower, Message  # noqa: E402

Row = dict[str, Any]
_SHOWN_MAX = 12
_NOT_COMPARED = ("revision",)


@dataclass
class Truth:
    """The truth file, by id."""

    head: Row
    requests: dict[int, Row]
    calls: dict[str, Row]

    @classmethod
    def load(cls, path: str) -> "Truth":
        """Reads truth.jsonl."""
        with open(path, encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        return cls(
            next(r for r in rows if r["type"] == "run"),
            {r["n"]: r for r in rows if r["type"] == "request"},
            {r["id"]: r for r in rows if r["type"] == "call"},
        )

    def events(self, numbers: set[int]) -> dict[str, Row]:
        """The distinct events of these requests, by id."""
        wanted = (self.requests[n] for n in sorted(numbers))
        return {row["event"]["id"]: row for row in wanted if row["expect"] == "event"}


@dataclass
class Observed:
    """What the topics and logs say about this run's calls."""

    events: dict[str, Row] = field(default_factory=dict)
    event_time: dict[str, int] = field(default_factory=dict)
    events_repeated: int = 0
    strange_events: int = 0
    records: dict[str, list[tuple[int, Row]]] = field(default_factory=lambda: defaultdict(list))
    strange_calls: set[str] = field(default_factory=set)
    dead: Counter[str] = field(default_factory=Counter)
    tasks: int = 0

    def add_event(self, message: Message, truth: Truth, known: set[str]) -> None:
        """One message of topic events."""
        event = json.loads(message.value or b"{}")
        ident = event.get("id", "")
        if ident not in known:
            self.strange_events += 1
            return
        if ident in self.events:
            self.events_repeated += 1
            return
        self.events[ident] = event
        self.event_time[ident] = message.time_ms

    def add_record(self, message: Message, truth: Truth) -> None:
        """One message of topic calls."""
        record = json.loads(message.value or b"{}")
        ident = message.key.decode()
        if ident in truth.calls:
            self.records[ident].append((message.time_ms, record))
        else:
            self.strange_calls.add(ident)

    def last(self, ident: str) -> Row | None:
        """The newest record of a call."""
        rows = self.records.get(ident)
        return rows[-1][1] if rows else None


def without(value: Any, path: list[str]) -> Any:
    """A copy without what a path such as ``legs[].number`` names."""
    if isinstance(value, list):
        return [without(item, path) for item in value]
    if not isinstance(value, dict):
        return value
    key = path[0].removesuffix("[]")
    if key not in value:
        return value
    copy = dict(value)
    if len(path) == 1:
        del copy[key]
    else:
        copy[key] = without(value[key], path[1:])
        if copy[key] in ({}, []):
            del copy[key]
    return copy


def differences(call: Row, record: Row, ignored: tuple[str, ...]) -> list[str]:
    """The fields in which a record is not what the truth says."""
    wanted, got = call["record"], record
    for path in (*call["open"], *ignored, *_NOT_COMPARED):
        wanted, got = without(wanted, path.split(".")), without(got, path.split("."))
    return [
        f"{key}: {got.get(key)!r}, wanted {wanted.get(key)!r}"
        for key in sorted({*wanted, *got})
        if wanted.get(key) != got.get(key)
    ]


class Findings:
    """What is wrong, by kind; a few of each are shown."""

    def __init__(self) -> None:
        self.by_kind: dict[str, list[str]] = defaultdict(list)

    def add(self, kind: str, text: str) -> None:
        """One breach."""
        self.by_kind[kind].append(text)

    def count(self, kind: str) -> int:
        """How many of a kind."""
        return len(self.by_kind.get(kind, ()))

    def lines(self) -> list[str]:
        """For a person."""
        found = []
        for kind, texts in sorted(self.by_kind.items()):
            found += [f"{kind}: {text}" for text in texts[:_SHOWN_MAX]]
            if len(texts) > _SHOWN_MAX:
                found.append(f"{kind}: ... and {len(texts) - _SHOWN_MAX} more")
        return found


def percentiles(values: list[float]) -> str:
    """p50 and p99 in ms."""
    if not values:
        return "-"
    ordered = sorted(values)
    return f"p50 {ordered[len(ordered) // 2]:.0f} ms, p99 {ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]:.0f} ms"


class Verifier:
    """One comparison."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.truth = Truth.load(args.truth)
        self.answers = load_rows(args.answers)
        self.accepted = {r["n"] for r in self.answers if r["status"] == 200}
        self.expected_events = self.truth.events(self.accepted)
        self.seen = Observed()
        self.findings = Findings()
        self.crm_log = Tail(args.crm_log)
        self.told: set[str] = set()
        self.known_events = {
            r["event"]["id"] for r in self.truth.requests.values() if r["expect"] == "event"
        }

    # --- waiting ---

    def follow(self) -> None:
        """Reads until nothing is missing any more, or the deadline."""
        names = ("events", "calls", "dead")
        followers = {n: Follower(self.args.brokers, self.args.prefix + n) for n in names}
        done = dict.fromkeys(names, 0)
        deadline = time.monotonic() + self.args.deadline
        settled = None
        try:
            while time.monotonic() < deadline:
                for name, follower in followers.items():
                    while done[name] < len(follower.messages):
                        self._take(name, follower.messages[done[name]])
                        done[name] += 1
                missing = self._missing()
                self._progress(missing)
                if missing == 0:
                    settled = settled or time.monotonic() + 1.0  # what comes twice comes now
                    if time.monotonic() >= settled:
                        break
                time.sleep(0.2)
        finally:
            for follower in followers.values():
                follower.close()

    def _take(self, name: str, message: Message) -> None:
        if name == "events":
            self.seen.add_event(message, self.truth, self.known_events)
        elif name == "calls":
            self.seen.add_record(message, self.truth)
        else:
            self.seen.dead[json.loads(message.value or b"{}").get("reason", "?").split(":")[0]] += 1

    def _missing(self) -> int:
        """Calls whose last record, or its delivery, has not been seen."""
        before = len(self.crm_log.rows)
        for row in self.crm_log.look()[before:]:
            if row["what"] in ("new", "older", "repeated"):
                self.told.add(row["id"])
        missing = 0
        for ident in self.truth.calls:
            last = self.seen.last(ident)
            if last is None or not last.get("complete"):
                missing += 1
            elif self.args.crm_log and f"{ident}-{last['revision']}" not in self.told:
                missing += 1
        return missing + len(self.expected_events.keys() - self.seen.events.keys())

    def _progress(self, missing: int) -> None:
        if self.args.quiet:
            return
        mark = "\r" if sys.stderr.isatty() else ""
        text = f"{mark}calls finished {len(self.seen.records)}/{len(self.truth.calls)}, waiting for {missing}   "
        if mark or missing != getattr(self, "_shown", None):
            print(text, end="" if mark else "\n", file=sys.stderr, flush=True)
        self._shown = missing

    # --- checking ---

    def check(self) -> None:
        """Fills the findings."""
        self._check_answers()
        self._check_events()
        for ident, call in self.truth.calls.items():
            self._check_call(ident, call)
        for ident in self.seen.strange_calls:
            self.findings.add("strange", f"call {ident} is not in the truth")
        self._check_crm()
        self._check_archive()

    def _check_answers(self) -> None:
        answered = {r["n"]: r for r in self.answers}
        for n, row in self.truth.requests.items():
            answer = answered.get(n)
            status = answer["status"] if answer else 0
            if status not in row["status"]:
                self.findings.add("answer", f"request {n}: {status}, wanted {row['status']}")

    def _check_events(self) -> None:
        for ident, row in self.expected_events.items():
            event = self.seen.events.get(ident)
            if event is None:
                self.findings.add("lost", f"event {ident} of request {row['n']}")
                continue
            told = {k: v for k, v in event.items() if k not in ("received_at", "raw")}
            wanted = row["event"]
            for key in sorted({*told, *wanted}):
                if told.get(key) != wanted.get(key):
                    text = f"event {ident}: {key}: {told.get(key)!r}, wanted {wanted.get(key)!r}"
                    self.findings.add("wrong", text)
        wanted_dead = sum(
            1 for r in self.truth.requests.values() if r["expect"] == "dead" and r["n"] in self.accepted
        )
        found = sum(n for reason, n in self.seen.dead.items() if reason not in ("late", "gave_up"))
        if found < wanted_dead:
            self.findings.add("lost", f"{wanted_dead - found} undecodable requests are not in topic dead")
        if self.seen.dead["late"]:
            self.findings.add("late", f"{self.seen.dead['late']} events found their call closed")

    def _check_call(self, ident: str, call: Row) -> None:
        rows = self.seen.records.get(ident)
        if not rows:
            self.findings.add("lost", f"call {ident} ({call['story']}) has no record")
            return
        revisions = [record["revision"] for _, record in rows]
        if len(set(revisions)) != len(revisions):
            self.findings.add("doubled", f"call {ident}: revisions {revisions}")
        elif revisions != sorted(revisions):
            self.findings.add("back", f"call {ident}: revisions {revisions}")
        least, most = call["revisions"]
        most = max(most, least + self._late(ident))
        if not self.args.faults and not least <= revisions[-1] <= most:
            self.findings.add("revisions", f"call {ident}: {revisions[-1]}, wanted {least} to {most}")
        ignored = ("notes", "complete") if self.args.faults else ()
        for text in differences(call, rows[-1][1], ignored):
            self.findings.add("wrong", f"call {ident} ({call['story']}, {call['account']}): {text}")

    def _late(self, ident: str) -> int:
        """How many events the log took when the call may have been closed: a slow machine adds some."""
        closers = self.truth.head["closers"]
        silence = min(v for k, v in closers.items() if k.endswith("_after")) / 2
        told = sorted((self.seen.event_time[e], self.seen.events[e]["kind"]) for e in self._events_of(ident))
        for i, (at, kind) in enumerate(told[:-1]):
            patience = min(silence, closers["end_grace"] / 2) if kind == "call.ended" else silence
            after = [later for later, _ in told[i + 1 :] if later > at + patience]
            if after and (kind == "call.ended" or told[i + 1][0] > at + silence):
                return len(after)
        return 0

    def _events_of(self, ident: str) -> list[str]:
        if not hasattr(self, "_by_call"):
            self._by_call: dict[str, list[str]] = defaultdict(list)
            for event, row in self.expected_events.items():
                if event in self.seen.events:
                    self._by_call[row["call"]].append(event)
        return self._by_call[ident]

    def _check_crm(self) -> None:
        if not self.args.crm_log:
            return
        told: dict[str, dict[int, Row]] = defaultdict(dict)
        for row in self.crm_log.rows:
            call, _, revision = row["id"].rpartition("-")
            if row["what"].startswith("refused"):
                self.findings.add("refused", f"{row['id']}: {row['what']}")
            elif row["what"] == "older":
                self.findings.add("back", f"the CRM was told {row['id']} after a newer one")
            if "body" in row:
                told[call][int(revision)] = json.loads(row["body"])
        for ident in self.truth.calls:
            last = self.seen.last(ident)
            if last is not None and told.get(ident, {}).get(last["revision"]) != last:
                self.findings.add("lost", f"the CRM does not have the last revision of call {ident}")

    def _check_archive(self) -> None:
        if not self.args.archive:
            return
        kept: dict[str, Row] = {}
        for record in load_rows(self.args.archive):
            if record["revision"] >= kept.get(record["id"], {"revision": 0})["revision"]:
                kept[record["id"]] = record
        for ident in self.truth.calls:
            if self.seen.last(ident) != kept.get(ident):
                self.findings.add("lost", f"the file sink does not have the last revision of call {ident}")

    # --- the account ---

    def report(self) -> Row:
        """Everything that is counted, for the table and for --json."""
        statuses = Counter(str(r["status"]) for r in self.answers)
        closed = Counter(c["closed_by"] for i, c in self.truth.calls.items() if self.seen.last(i))
        outcomes = Counter((self.seen.last(i) or {}).get("outcome", "none") for i in self.truth.calls)
        crm = Counter(row["what"].split(":")[0] for row in self.crm_log.rows)
        found = self.findings
        return {
            "requests_sent": len(self.answers),
            "requests_by_answer": dict(sorted(statuses.items())),
            "events": len(self.seen.events),
            "events_repeated": self.seen.events_repeated,
            "dead": dict(self.seen.dead),
            "calls_begun": len(self.truth.calls),
            "records": sum(1 for i in self.truth.calls if self.seen.last(i)),
            "revisions": sum(len(rows) for rows in self.seen.records.values()),
            "outcomes": dict(sorted(outcomes.items())),
            "closed_by": dict(sorted(closed.items())),
            "closers_ms": self.truth.head["closers"],
            "deliveries": dict(sorted(crm.items())),
            "wrong": found.count("wrong"),
            "lost": found.count("lost"),
            "doubled": found.count("doubled"),
            "other": sum(len(v) for k, v in found.by_kind.items() if k not in ("wrong", "lost", "doubled")),
        }

    def latencies(self) -> tuple[list[float], list[float]]:
        """From the end event in its topic to record and to CRM, less end_grace, ms."""
        grace = self.truth.head["closers"]["end_grace"]
        ends = {}
        for ident, event in self.seen.events.items():
            if event["kind"] == "call.ended":
                call = self.expected_events.get(ident, {}).get("call")
                at = self.seen.event_time[ident]
                ends[call] = min(at, ends.get(call, at))
        first_told: dict[str, int] = {}
        for row in self.crm_log.rows:
            if row["what"] == "new":
                first_told.setdefault(row["id"].rpartition("-")[0], row["at_ms"])
        known = [i for i, c in self.truth.calls.items() if c["closed_by"] == "end" and i in ends]
        record = [self.seen.records[i][0][0] - ends[i] - grace for i in known if self.seen.records.get(i)]
        crm = [first_told[i] - ends[i] - grace for i in known if i in first_told]
        return [max(0.0, v) for v in record], [max(0.0, v) for v in crm]


class Tail:
    """The rows of a log that still grows; `rows` only ever gets longer."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.rows: list[Row] = []
        self._offset = 0

    def look(self) -> list[Row]:
        """Takes over the whole lines that have come since the last look."""
        if self.path and Path(self.path).exists():
            with open(self.path, "rb") as file:
                file.seek(self._offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self._offset += len(line)
                    self.rows.append(json.loads(line))
        return self.rows


def load_rows(path: str | None) -> list[Row]:
    """JSON lines; a line that is still being written is left for the next look."""
    if not path or not Path(path).exists():
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


def named(counts: Row) -> str:
    """``a 1, b 2``"""
    return ", ".join(f"{key} {value}" for key, value in counts.items()) or "none"


def table(report: Row, record_ms: list[float], crm_ms: list[float]) -> str:
    """The account as a person reads it."""
    closers = ", ".join(f"{k} {v / 1000:g} s" for k, v in report["closers_ms"].items())
    rows = [
        ("requests sent", report["requests_sent"]),
        ("  by answer", named(report["requests_by_answer"])),
        ("events", f"{report['events']} (appended again: {report['events_repeated']})"),
        ("dead letters", named(report["dead"])),
        ("calls begun", report["calls_begun"]),
        ("records", f"{report['records']}, with {report['revisions']} revisions in all"),
        ("  by outcome", named(report["outcomes"])),
        ("  closed by", named(report["closed_by"])),
        ("  time-outs", closers),
        ("deliveries", named(report["deliveries"])),
        ("last event to record", percentiles(record_ms) + " (less end_grace)"),
        ("last event to CRM", percentiles(crm_ms) + " (less end_grace)"),
        ("wrong, lost, doubled", f"{report['wrong']}, {report['lost']}, {report['doubled']}"),
        ("other breaches", report["other"]),
    ]
    return "\n".join(f"{name:<22} {value}" for name, value in rows)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    cli = argparse.ArgumentParser(prog="verify.py", description=__doc__)
    cli.add_argument("--truth", required=True, help="truth.jsonl of the generator")
    cli.add_argument("--answers", required=True, help="the sender's log")
    cli.add_argument("--brokers", required=True)
    cli.add_argument("--prefix", default="callstream.")
    cli.add_argument("--crm-log", help="log of crm.py")
    cli.add_argument("--archive", help="the file sink's file")
    cli.add_argument("--deadline", type=float, default=60.0, help="seconds to wait at most")
    cli.add_argument("--faults", action="store_true", help="notes, complete and the number of revisions are open")
    cli.add_argument("--quiet", action="store_true", help="no progress line")
    cli.add_argument("--json", action="store_true")
    return cli


def main(argv: list[str] | None = None) -> int:
    """Exit 0 when all is accounted for, 1 when not."""
    args = parser().parse_args(argv)
    verifier = Verifier(args)
    verifier.follow()
    verifier.check()
    report = verifier.report()
    record_ms, crm_ms = verifier.latencies()
    for line in verifier.findings.lines():
        print(line, file=sys.stderr)
    if args.json:
        print(json.dumps({**report, "findings": dict(verifier.findings.by_kind)}, ensure_ascii=False))
    else:
        print(table(report, record_ms, crm_ms))
    return 1 if verifier.findings.by_kind else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
