"""What every vendor's fold shares: the set of events, constants, talks, recordings (rules 1, 5, 7)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from . import ids, times

Event = dict[str, Any]
_NO_CLOCK_KINDS = ("recording.", "note")  # they neither open a call nor move its end


def at_ms(event: Event) -> int:
    """The vendor's time of an event, else when it was received."""
    text = event.get("at") or event.get("received_at")
    if text is None:
        raise ValueError(f"event {event['id']} has no time at all")
    return times.from_iso(text)


def distinct(events: Iterable[Event]) -> list[Event]:
    """One event per id (the one received first), ordered by at, seq, id."""
    kept: dict[str, Event] = {}
    for event in events:
        seen = kept.get(event["id"])
        if seen is None or _repeat_order(event) < _repeat_order(seen):
            kept[event["id"]] = event
    return sorted(kept.values(), key=lambda e: (at_ms(e), e.get("seq", 0), e["id"]))


def _repeat_order(event: Event) -> tuple[str, int, bytes]:
    return (event.get("received_at", ""), at_ms(event), json.dumps(event, sort_keys=True).encode())


def is_call_fact(event: Event) -> bool:
    """Whether the event opens a call, and counts for the end of one closed by a time-out."""
    return not event["kind"].startswith(_NO_CLOCK_KINDS)


def first(events: Iterable[Event], name: str) -> Any:
    """The first non-empty value of a field, for what does not change during a call."""
    return next((e[name] for e in events if e.get(name) not in (None, "", [], {})), None)


def merged(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Several tellings of one thing; the first non-empty value of each field wins."""
    result: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            result.setdefault(key, value)
    return result


@dataclass
class Talk:
    """One conversation: the legs that were bridged, and the employee in it."""

    legs: tuple[str, ...]
    start: int
    end: int | None = None
    employee: dict[str, str] = field(default_factory=dict)

    def until(self, call_end: int) -> int:
        """Its end; the call's where it was still running."""
        return call_end if self.end is None else self.end


def talks(events: Iterable[Event]) -> list[Talk]:
    """Pairs starts and ends by their set of legs, by employee where there are none."""
    running: dict[tuple[str, ...], Talk] = {}
    found: list[Talk] = []
    for event in events:
        if event["kind"] not in ("talk.started", "talk.ended"):
            continue
        employee = event.get("employee", {})
        key = tuple(event.get("leg_ids", ())) or ("employee", employee.get("id", ""))
        talk = running.get(key)
        if event["kind"] == "talk.started" and talk is None:
            talk = Talk(tuple(event.get("leg_ids", ())), at_ms(event))
            running[key] = talk
            found.append(talk)
        if talk is None:
            continue  # an end whose start was never told
        talk.employee = merged((talk.employee, employee))
        if event["kind"] == "talk.ended":
            talk.end = at_ms(event)
            del running[key]
    return found


def union_ms(spans: Iterable[tuple[int, int]]) -> int:
    """The time covered by at least one span."""
    total, reached = 0, None
    for start, end in sorted(spans):
        start = start if reached is None else max(start, reached)
        total += max(0, end - start)
        reached = end if reached is None else max(reached, end)
    return total


def last_talk(found: list[Talk], call_end: int) -> Talk | None:
    """The one that decides who had the contact at the end: consultations return."""
    return max(found, key=lambda t: (t.until(call_end), t.start), default=None)


def transfers(found: list[Talk], call_end: int, name: Callable[[dict[str, str]], str | None]) -> list[dict[str, Any]]:
    """Every change of the talking employee; a talk inside another's time is a consultation."""
    ordered = sorted(found, key=lambda t: (t.start, t.until(call_end)))
    chain = [
        talk
        for talk in ordered
        if not any(_inside(talk, other, call_end) for other in ordered if other is not talk)
    ]
    moves = []
    for before, after in zip(chain, chain[1:]):
        left, came = name(before.employee), name(after.employee)
        if left and came and left != came:
            at = times.iso(before.until(call_end))
            moves.append({"at": at, "transfer": "unknown", "from": left, "to": came})
    return moves


def _inside(talk: Talk, other: Talk, call_end: int) -> bool:
    return other.start <= talk.start and talk.until(call_end) < other.until(call_end)


def recordings(events: Iterable[Event], expect_one: bool) -> list[dict[str, Any]]:
    """Recordings by id; one expected entry without id while none has come."""
    found: dict[str, dict[str, Any]] = {}
    for event in events:
        if event["kind"] == "recording.available" and event.get("recording"):
            row = {"id": event["recording"], "state": "available"}
            row.update({k: event[k] for k in ("duration_ms", "source_url") if k in event})
            found[row["id"]] = merged((found.get(row["id"], {}), row))
    if not found and expect_one:
        return [{"state": "expected"}]
    return [found[key] for key in sorted(found)]


def leg_order(leg: dict[str, Any]) -> tuple[str, tuple[int, int, str]]:
    """Legs by their first time, then id."""
    moments = [leg[k] for k in ("ringing_at", "answered_at", "ended_at") if k in leg]
    return (min(moments, default=""), ids.id_order(leg["leg_id"]))
