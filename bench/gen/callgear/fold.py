"""The record that the set of one CallGear call's events makes (contract 3.2, rules 4 to 7)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .. import facts, ids, times
from ..facts import Event, Talk
from . import reasons

_PARALLEL_MS = 2000  # a leg that rings later than this after another replaces it


@dataclass
class Folded:
    """The finished record, which rule closed it, and the fields nobody can predict."""

    record: dict[str, Any]
    closed_by: str
    open: list[str] = field(default_factory=list)


def fold(events: Iterable[Event], recordings: str) -> Folded | None:
    """The last revision once every time-out has run; None when nothing opens a call."""
    found = facts.distinct(events)
    if not any(facts.is_call_fact(event) for event in found):
        return None
    return _Call(found, recordings).folded()


class _Call:
    """One call; the order of the attributes is the order in which they depend on each other."""

    def __init__(self, events: list[Event], recordings: str) -> None:
        self.events = events
        self.expect_recordings = recordings == "always"
        self.summary = next((e for e in events if e["kind"] == "call.ended"), None)
        self.lost = next((e for e in events if e["kind"] == "call.lost"), None)
        self.rings = [e for e in events if e["kind"] == "leg.ringing" and e.get("leg_id")]
        self.talks = facts.talks(events)
        self.notes: set[str] = set()
        self.open: set[str] = {"cause.text", "legs[].number"}
        self.direction = self._direction()
        self.ended = self._ended()
        self.started = self._started()
        self.closed_by = self._closed_by()
        self.people = self._people()
        self.answered = bool(self.talks) or bool((self.summary or {}).get("talk_ms"))
        self.reason = self._reason()
        self.outcome = self._outcome()

    # --- what happened ---

    def _direction(self) -> str | None:
        by_api = any(
            e.get("call_source", "").startswith("callapi") and e.get("external_id")
            for e in self.events
        )
        if by_api:
            self.notes.add("click_to_call")
            return "out"
        said = (self.summary or {}).get("direction")
        return said or facts.first(self.events, "direction")

    def _ended(self) -> int:
        if self.summary:
            finish = self.summary.get("ended_at")
            return times.from_iso(finish) if finish else facts.at_ms(self.summary)
        return max(facts.at_ms(e) for e in self.events if facts.is_call_fact(e))

    def _started(self) -> int:
        told = facts.first(self.events, "started_at")
        if told:
            return times.from_iso(told)
        opener = next((e for e in self.events if e["kind"] == "call.started"), None)
        if opener:
            return facts.at_ms(opener)
        if self.summary and "total_ms" in self.summary:
            return self.ended - int(self.summary["total_ms"])
        if self.lost and not self.summary and not self.rings and not self.talks:
            return self.ended - int(self.lost.get("wait_ms", 0))
        return min(facts.at_ms(e) for e in self.events if facts.is_call_fact(e))

    def _closed_by(self) -> str:
        if self.summary:
            return "end"
        if self.lost:
            return "lost_without_end"
        self.notes.add("closed_by_timeout")
        if self.talks and all(talk.end is not None for talk in self.talks):
            return "talk_without_end"
        return "silent_call"

    def _reason(self) -> str | None:
        for event in (self.summary, self.lost):
            reason = (event or {}).get("cause", {}).get("vendor")
            if reason:
                return str(reason)
        return None

    def _outcome(self) -> str:
        if self.answered:
            return "answered"
        lost_or_rang = bool(self.rings or self.people or self.lost)
        return reasons.outcome(self.reason, self.direction, bool(self.rings), lost_or_rang)

    # --- who ---

    def _people(self) -> dict[str, dict[str, str]]:
        people: dict[str, dict[str, str]] = {}
        for event in self.events:
            row = event.get("employee", {})
            if row.get("id"):
                people[row["id"]] = facts.merged((people.get(row["id"], {}), row))
        if any(set(row) == {"id"} for row in people.values()):
            self.notes.add("employee_unmapped")
        return people

    def _person(self, row: dict[str, str]) -> dict[str, str]:
        return facts.merged((row, self.people.get(row.get("id", ""), {})))

    def _employee(self) -> dict[str, str]:
        talk = facts.last_talk(self.talks, self.ended)
        if talk and talk.employee:
            return self._person(talk.employee)
        if self.rings:
            begun: dict[str, Event] = {}  # two notifications of one ringing count once: the first
            for event in self.rings:
                begun.setdefault(event["leg_id"], event)
            latest = max(begun.values(), key=lambda e: (facts.at_ms(e), ids.id_order(e["leg_id"])))
            if latest.get("employee"):
                return self._person(latest["employee"])
        return self._person(facts.first(self.events, "employee") or {})

    # --- legs ---

    def _legs(self) -> list[dict[str, Any]]:
        ringing: dict[str, int] = {}
        people: dict[str, dict[str, str]] = {}
        for event in self.rings:
            leg = event["leg_id"]
            ringing.setdefault(leg, facts.at_ms(event))
            people[leg] = facts.merged((people.get(leg, {}), event.get("employee", {})))
        if self.direction == "out":
            ringing = dict(list(ringing.items())[:1])
            for leg in ringing:  # the one who dials
                people[leg] = people[leg] or self._dialler()
        answers = {leg: self._leg_answer(leg) for leg in ringing}
        legs = [self._leg(leg, ringing, answers, people[leg]) for leg in ringing]
        return sorted(legs, key=facts.leg_order)

    def _dialler(self) -> dict[str, str]:
        opener = next((e for e in self.events if e["kind"] == "call.started"), {})
        return dict(opener.get("employee", {}))

    def _talks_with_contact(self) -> list[Talk]:
        """Without those between employees: the contact's leg never rang, outbound it did first."""
        rung = [e["leg_id"] for e in self.rings]
        if not rung or "click_to_call" in self.notes:
            return self.talks
        if self.direction == "out":
            found = [t for t in self.talks if len(t.legs) < 2 or rung[0] in t.legs]
        else:
            found = [t for t in self.talks if len(t.legs) < 2 or set(t.legs) - set(rung)]
        return found or self.talks

    def _leg_talks(self, leg: str) -> list[Talk]:
        return [talk for talk in self.talks if leg in talk.legs]

    def _leg_answer(self, leg: str) -> int | None:
        told = [
            facts.at_ms(e)
            for e in self.events
            if e["kind"] == "leg.answered" and e.get("leg_id") == leg
        ]
        return min(told + [talk.start for talk in self._leg_talks(leg)], default=None)

    def _leg(
        self,
        leg: str,
        ringing: dict[str, int],
        answers: dict[str, int | None],
        person: dict[str, str],
    ) -> dict[str, Any]:
        row: dict[str, Any] = {"leg_id": leg, "ringing_at": times.iso(ringing[leg])}
        if person:
            row["employee"] = self._person(person)
        answered = answers[leg]
        if answered is not None:
            row["answered_at"] = times.iso(answered)
            row["outcome"] = "answered"
            ended = max((t.until(self.ended) for t in self._leg_talks(leg)), default=self.ended)
        else:
            ended, row["outcome"] = self._unanswered_leg(leg, ringing, answers)
        row["ended_at"] = times.iso(ended)
        return row

    def _unanswered_leg(
        self, leg: str, ringing: dict[str, int], answers: dict[str, int | None]
    ) -> tuple[int, str]:
        """It ends when it was replaced, when another took the call, or with the call."""
        began = ringing[leg]
        ends: list[tuple[int, str]] = []
        for other, rang in ringing.items():
            if other != leg and rang > began + _PARALLEL_MS:
                ends.append((rang, "no_answer"))
        for other, answer in answers.items():
            if other != leg and answer is not None and answer >= began:
                ends.append((answer, "cancelled"))
        ends.append((self.ended, self.outcome))
        return min(ends, key=lambda end: end[0])

    # --- the record ---

    def _durations(self) -> dict[str, int]:
        total = self._span(self.ended - self.started)
        if not self.answered:
            return {"wait_ms": total, "talk_ms": 0, "total_ms": total}
        talk = (self.summary or {}).get("talk_ms")
        if talk is None:
            talk = facts.union_ms((t.start, t.until(self.ended)) for t in self.talks)
        begin = min((t.start for t in self.talks), default=self.ended - talk)
        wait = min(self._span(begin - self.started), max(0, total - talk))
        return {"wait_ms": wait, "talk_ms": talk, "total_ms": total}

    def _span(self, ms: int) -> int:
        if ms < 0:
            self.notes.add("clock_skew")
        return max(0, ms)

    def _cause(self) -> dict[str, Any]:
        if self.reason is None:
            self.open.update(("cause.q850", "cause.by"))
            return {}
        row = reasons.find(self.reason)
        cause: dict[str, Any] = {"vendor": self.reason}
        for name, value in (("q850", row and row.q850), ("by", row and row.by)):
            if value is None:
                self.open.add(f"cause.{name}")
            else:
                cause[name] = value
        return cause

    def _tags(self) -> list[str]:
        return sorted({tag for event in self.events for tag in event.get("tags", ())})

    def folded(self) -> Folded:
        """The record with everything that was ever expected come, or given up."""
        head = self.events[0]
        session = head["call_session_id"]
        recordings = facts.recordings(
            self.events, self.expect_recordings and bool(self.talks)
        )
        if any(row["state"] == "expected" for row in recordings):
            self.notes.add("recording_missing")
        if any(not event.get("at") or event.get("timed") is False for event in self.events):
            self.notes.add("no_time")
        if self.direction is None:
            self.open.add("direction")
        record: dict[str, Any] = {
            "schema": "callstream.call/1",
            "id": ids.call_id(head["account"], session),
            "complete": True,
            "account": head["account"],
            "source": head["source"],
            "call_session_id": session,
            "direction": self.direction,
            "outcome": self.outcome,
            "cause": self._cause(),
            "line": facts.first(self.events, "line"),
            "contact": facts.merged(e.get("contact", {}) for e in self.events),
            "started_at": times.iso(self.started),
            "answered_at": self._answered_at(),
            "ended_at": times.iso(self.ended),
            **self._durations(),
            "employee": self._employee(),
            "legs": self._legs(),
            "transfers": facts.transfers(self._talks_with_contact(), self.ended, _short_name),
            "recordings": recordings,
            "tags": self._tags(),
            "scenario": facts.first(self.events, "scenario"),
            "external_id": facts.first(self.events, "external_id"),
        }
        record["notes"] = sorted(self.notes)
        kept = {k: v for k, v in record.items() if v not in (None, "", [], {})}
        return Folded(kept, self.closed_by, sorted(self.open))

    def _answered_at(self) -> str | None:
        begin = min((talk.start for talk in self.talks), default=None)
        return None if begin is None else times.iso(begin)


def _short_name(employee: dict[str, str]) -> str | None:
    return employee.get("extension") or employee.get("id")
