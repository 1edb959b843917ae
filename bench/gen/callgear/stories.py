"""What happens in calls, told as the notices the vendor would send (sheet 5.2).

A story also says what it means (``Intent``), in words of its own. The truth is read back from the
rendered requests; where it says something else than the story meant, the generator stops.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .. import ids
from . import reasons
from .cast import SCENARIOS, TAGS, Cast
from .layouts import LAYOUTS
from .render import Notice

Person = dict[str, str]

# reasons by the shape of an unanswered call, and for answered ones
REASONS: dict[str, tuple[str, ...]] = {
    "in_rung": (
        "subscriber_disconnects",
        "operator_disconnects",
        "operator_busy",
        "operator_not_responsible",
        "no_success_operator_call",
        "caller_disconnects",
        "operator_number_problems",
        "sip_offline",
        "timeout",
        "operator_not_responsive",
        "scenario_disconnects",
        "another_operator_answer",
        "call_enqueued",
        "transfer_disconnects",
        "success_finish",
        "a_reason_of_next_year",
    ),
    "in_unrung": (
        "subscriber_disconnects",
        "disconnect_before_call_processing",
        "numa_in_black_list",
        "no_active_scenario",
        "numa_in_spam_list",
        "locked_numb",
        "scenario_disconnects",
        "caller_disconnects",
        "not_enough_money",
        "limit_exceeded",
    ),
    "out_rung": (
        "subscriber_busy",
        "subscriber_not_responsible",
        "operator_disconnects",
        "subscriber_disconnects",
        "no_success_subscriber_call",
        "caller_busy",
        "caller_not_responsive",
        "no_success_caller_call",
        "caller_disconnects",
        "caller_number_problems",
        "timeout",
    ),
    "out_unrung": (
        "out_call_not_allowed",
        "operator_disconnects",
        "subscriber_number_problems",
        "no_money",
        "not_enough_money",
        "limit_exceeded",
    ),
    "answered": (
        "subscriber_disconnects",
        "operator_disconnects",
        "caller_disconnects",
        "success_finish",
        "transfer_disconnects",
        "scenario_disconnects",
    ),
}


@dataclass
class Intent:
    """What the story is about, to be found again in the record."""

    outcome: str = ""
    direction: str | None = None
    employee: str | None = None
    legs: int = 0
    transfers: list[tuple[str, str]] = field(default_factory=list)
    talk_s: int = 0
    recordings: int = 0
    closed_by: str = "end"


@dataclass
class Story:
    """One call: its notices with times relative to its start, and what they mean."""

    name: str
    session: str
    notices: list[Notice]
    intent: Intent


class Director:
    """Writes stories for one account, going through all reasons over time."""

    def __init__(self, cast: Cast, rng: random.Random) -> None:
        self.cast = cast
        self.rng = rng
        self._reasons = {shape: itertools.cycle(words) for shape, words in REASONS.items()}
        self._names = list(STORIES)
        self._weights = [weight for weight, _ in STORIES.values()]

    def story(self, no_end: bool, name: str | None = None) -> Story:
        """The next call; ``no_end`` leaves its last event out."""
        name = name or self.rng.choices(self._names, self._weights)[0]
        call = _Call(self.cast, self.rng, self._reasons)
        STORIES[name][1](call)
        if no_end:
            call.lose_end()
        return Story(name, call.session, call.notices, call.intent)


class _Call:
    """A call being written; ``now`` is the simulated time since its start in ms."""

    def __init__(self, cast: Cast, rng: random.Random, cycles: dict[str, Iterator[str]]) -> None:
        self.cast = cast
        self.rng = rng
        self.cycles = cycles
        self.layout = LAYOUTS[cast.account.layout]
        self.notices: list[Notice] = []
        self.intent = Intent()
        self.now = 0
        self.session = str(cast.session())
        self._leg = cast.legs()
        self.contact_leg = self.new_leg()
        contact = cast.contact().values(rng)
        self.constants: dict[str, Any] = {
            "call_session_id": int(self.session),
            "communication_id": int(self.session),
            "app_id": cast.app_id,
            "virtual_phone_number": cast.line(),
            "scenario_name": rng.choice(SCENARIOS),
            "call_source": "va",
            "external_id": None,
            "start_time": 0,
            **contact,
        }
        self.talk_spans: list[tuple[int, int]] = []
        self.recorded: list[tuple[int, int, Person]] = []

    # --- small steps ---

    def new_leg(self) -> int:
        """The next leg id of this call."""
        self._leg += self.rng.randint(1, 7)
        return self._leg

    def pause(self, low_ms: int, high_ms: int) -> None:
        """Time passes."""
        self.now += self.rng.randint(low_ms, high_ms)

    def tell(self, mnemonic: str, person: Person | None = None, **values: Any) -> None:
        """One notification, if the administrator has set one up for this kind."""
        if not self.layout.offers(mnemonic):
            return
        shown = {**self.constants, **values}
        if person:
            shown["employee_id"] = int(person["id"])
            shown["employee_full_name"] = person.get("name")
        self.notices.append(Notice(self.now, mnemonic, shown))
        if mnemonic in ("call_proceeding", "talk_started") and self.rng.random() < 0.03:
            later = self.now + self.rng.randint(1, 60)  # a second notification of the same event
            self.notices.append(Notice(later, mnemonic, shown))

    def inbound(self) -> None:
        """A call reaches one of the account's numbers."""
        self.constants["direction"] = self.intent.direction = "in"
        self.tell("in_call_session")
        self.pause(1300, 2500)

    def outbound(self, person: Person) -> None:
        """An employee dials."""
        self.constants["direction"] = self.intent.direction = "out"
        self.constants["call_source"] = "sip"
        self.tell("out_call_session", person, employee_phone_number="0190233")
        self.intent.employee = person["id"]
        self.pause(1300, 4000)

    def ring(self, person: Person, leg: int | None = None) -> int:
        """One more phone rings; returns its leg."""
        leg = self.new_leg() if leg is None else leg
        self.tell("call_proceeding", person, leg_id=leg)
        self.intent.legs += 1
        self.intent.employee = person["id"]
        return leg

    def note(self) -> None:
        """Something that is no event of a call's life."""
        if self.layout.fallback and self.rng.random() < 0.05:
            self.tell(self.rng.choice(("set_mark", "in_call", "queue_position")))

    def begin_talk(self, person: Person, leg: int, other: int | None = None) -> int:
        """Two legs are bridged; returns when."""
        if self.layout.templates.get("call_connected"):
            self.tell("call_connected", person, leg_id=leg)
        self.tell("talk_started", person, leg_ids=self._bridge(leg, other))
        self.intent.employee = person["id"]
        self.intent.outcome = "answered"
        return self.now

    def end_talk(self, person: Person, leg: int, began: int, other: int | None = None) -> None:
        """The bridge is taken down."""
        self.tell(
            "talk_finished",
            person,
            leg_ids=self._bridge(leg, other),
            talk_time_duration=(self.now - began) // 1000,
        )
        if self.layout.templates.get("call_disconnected"):
            self.tell("call_disconnected", person, leg_id=leg)
        self.talk_spans.append((began, self.now))
        self.recorded.append((self.now, (self.now - began) // 1000, person))

    def _bridge(self, leg: int, other: int | None) -> list[int]:
        legs = [self.contact_leg if other is None else other, leg]
        return legs[::-1] if self.rng.random() < 0.3 else legs

    def talk(self, person: Person, leg: int, low_s: int = 4, high_s: int = 600) -> None:
        """A talk from begin to end, held now and then."""
        began = self.begin_talk(person, leg)
        self.pause(low_s * 1000, high_s * 1000)
        if self.layout.templates.get("call_hold_control") and self.rng.random() < 0.1:
            self.tell("call_hold_control", person, leg_id=leg, status="on")
            self.pause(3000, 30_000)
            self.tell("call_hold_control", person, leg_id=leg, status="off")
            self.pause(3000, 30_000)
        self.end_talk(person, leg, began)

    # --- endings ---

    def reason(self, shape: str) -> str | None:
        """The next reason for such a call; None where this account's template has none."""
        told = "finish_reason" in self.layout.templates["call_session_finished"][""]
        word = next(self.cycles[shape])
        return word if told else None

    def finish(self, reason: str | None, person: Person | None = None) -> None:
        """The call is over for every participant."""
        talk = sum(end - begin for begin, end in self._joined()) // 1000
        total = self.now // 1000
        self.tell(
            "call_session_finished",
            person,
            finish_time=self.now,
            wait_time_duration=max(0, total - talk),
            talk_time_duration=talk,
            total_time_duration=total,
            tag_names=self._tags(),
            finish_reason=reason,
            call_status="received" if talk else "lost",
            postprocess_time_duration=self.rng.choice((None, 0, 12)),
        )
        self.notices[-1].at_ms += self.rng.randint(0, 90)
        self.intent.talk_s = talk

    def _joined(self) -> list[tuple[int, int]]:
        joined: list[tuple[int, int]] = []
        for begin, end in sorted(self.talk_spans):
            if joined and begin <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((begin, end))
        return joined

    def _tags(self) -> list[str] | None:
        if self.rng.random() < 0.7:
            return self.rng.choice((None, []))
        return self.rng.sample(TAGS, self.rng.randint(1, 3))

    def finish_answered(self, person: Person, leg_gap: tuple[int, int] = (100, 1500)) -> None:
        """Hung up after a talk; recordings come before or after the end."""
        early, late = self._recordings()
        for record in early:
            self._record(*record)
        self.pause(*leg_gap)
        self.finish(self.reason("answered"), person)
        for record in late:
            self._record(*record)
        self.intent.recordings = len(early) + len(late)

    def _recordings(self) -> tuple[list[Any], list[Any]]:
        recorded = self.cast.account.recordings == "always"
        if self.rng.random() > (0.93 if recorded else 0.04):
            return [], []  # never comes, or: this account is not recorded
        if self.rng.random() < 0.2:
            return self.recorded, []
        return [], self.recorded

    def _record(self, _ended: int, seconds: int, person: Person | None) -> None:
        before = self.notices[-1].mnemonic == "talk_finished"
        self.pause(800, 3000) if before else self.pause(4000, 40_000)
        digest = f"{self.rng.getrandbits(128):032x}"
        slash = "/" if self.rng.random() < 0.3 else ""
        kind = "talk" if person else "voice_mail"
        self.tell(
            "talk_record_file" if person else "voice_message",
            person,
            file_link="https://app.callgear.example/system/media/"
            f"{kind}/{self.session}/{digest}{slash}",
            file_duration=seconds,
            tag_ids=None,
            tag_names=None,
        )
        late = self.rng.choice((200, 600, 2500)) * self.rng.uniform(0.8, 1.2)
        self.notices[-1].wait_ms = None if before else round(late)

    def unanswered(self, shape: str, lost: str, person: Person | None = None) -> None:
        """Over without a talk. ``lost``: 8+2, 2+8, 2 or 8, as the vendor may send them."""
        reason = self.reason(shape)
        people = [n.values["employee_id"] for n in self.notices if "employee_id" in n.values]
        if lost == "8" and not self.layout.templates["lost_call_session"]:
            lost = "2"
        for part in lost.split("+"):
            if part == "2":
                self.finish(reason, person)
            else:
                self.tell(
                    "lost_call_session",
                    wait_time_duration=self.now // 1000,
                    employee_ids=sorted(set(people)) or None,
                    lost_reason=reason,
                )
            self.pause(5, 400)
        if lost == "8":
            self.intent.closed_by = "lost_without_end"
            told = "lost_reason" in self.layout.templates["lost_call_session"][""]
            reason = reason if told else None
        self.intent.outcome = _unanswered_outcome(
            reason, shape, "8" in lost or self.intent.employee is not None
        )

    def lose_end(self) -> None:
        """The vendor's last event never comes; sometimes the talk's end is lost with it."""
        if len(self.notices) == 1:
            return  # nothing else would ever tell of this call
        kinds = [n.mnemonic for n in self.notices]
        gone = ["call_session_finished"]
        if "lost_call_session" in kinds and self.rng.random() < 0.3:
            gone.append("lost_call_session")
        elif len(_facts(self.notices, "talk_started")) == 1 and self.rng.random() < 0.3:
            gone += ["talk_finished", "call_disconnected", "talk_record_file"]
            self.intent.recordings = 0
        self.notices = [n for n in self.notices if n.mnemonic not in gone]
        self._intend_no_end()

    def _intend_no_end(self) -> None:
        kinds = {n.mnemonic for n in self.notices}
        self.intent.talk_s = -1  # what the events leave of it
        if "lost_call_session" in kinds:
            self.intent.closed_by = "lost_without_end"
        elif "talk_finished" in kinds:
            self.intent.closed_by = "talk_without_end"
        else:
            self.intent.closed_by = "silent_call"
        if self.intent.outcome != "answered":
            told = "lost_call_session" in kinds and self.layout.templates["lost_call_session"]
            reason = next(
                (
                    n.values.get("lost_reason")
                    for n in self.notices
                    if n.mnemonic == "lost_call_session" and told and "lost_reason" in told[""]
                ),
                None,
            )
            shape = f"{self.intent.direction}_{'rung' if self.intent.legs else 'unrung'}"
            known = "lost_call_session" in kinds or self.intent.employee is not None
            self.intent.outcome = _unanswered_outcome(reason, shape, known)


def _facts(notices: list[Notice], mnemonic: str) -> set[tuple[Any, ...]]:
    return {
        (tuple(sorted(n.values["leg_ids"])), n.values.get("employee_id"))
        for n in notices
        if n.mnemonic == mnemonic
    }


def _unanswered_outcome(reason: str | None, shape: str, known: bool) -> str:
    direction, _, rung = shape.partition("_")
    return reasons.outcome(reason, direction, rung == "rung", known or rung == "rung")


# --- the stories ---


def _answered(call: _Call) -> None:
    call.inbound()
    (person,) = call.cast.staff(1)
    leg = call.ring(person)
    call.note()
    call.pause(2500, 30_000)
    call.talk(person, leg)
    call.finish_answered(person)


def _parallel(call: _Call) -> None:
    call.inbound()
    people = call.cast.staff(call.rng.randint(2, 4))
    legs = []
    for person in people:
        legs.append(call.ring(person))
        call.pause(0, 250)
    call.pause(3000, 25_000)
    winner = call.rng.randrange(len(people))
    call.talk(people[winner], legs[winner])
    call.finish_answered(people[winner])


def _serial(call: _Call) -> None:
    call.inbound()
    people = call.cast.staff(call.rng.randint(2, 4))
    leg = 0
    for person in people:
        leg = call.ring(person)
        call.pause(8000, 20_000)
    call.talk(people[-1], leg)
    call.finish_answered(people[-1])


def _lost_ringing(call: _Call) -> None:
    call.inbound()
    for person in call.cast.staff(call.rng.randint(1, 3)):
        call.ring(person)
        call.pause(8000, 20_000)
    lost = call.rng.choices(("8+2", "2+8", "2", "8"), (40, 30, 15, 15))[0]
    call.unanswered("in_rung", lost)


def _lost_parallel(call: _Call) -> None:
    call.inbound()
    for person in call.cast.staff(call.rng.randint(2, 4)):
        call.ring(person)
        call.pause(0, 250)
    call.pause(8000, 40_000)
    call.unanswered("in_rung", call.rng.choice(("8+2", "2+8", "2")))


def _ivr(call: _Call) -> None:
    call.inbound()
    call.pause(2000, 40_000)
    call.unanswered("in_unrung", call.rng.choice(("8+2", "2+8", "2", "8")))


def _lost_alone(call: _Call) -> None:
    """Nothing but kind 8: the administrator set up no other notification for this number."""
    call.pause(3000, 30_000)
    call.constants["start_time"] = None
    call.unanswered("in_unrung", "8")


def _voicemail(call: _Call) -> None:
    call.inbound()
    for person in call.cast.staff(call.rng.randint(0, 2)):
        call.ring(person)
        call.pause(8000, 15_000)
    call.pause(4000, 60_000)
    shape = "in_rung" if call.intent.legs else "in_unrung"
    call.unanswered(shape, call.rng.choice(("8+2", "2+8")))
    if call.layout.offers("voice_message") and "voice_message" in call.layout.templates:
        call._record(call.now, call.rng.randint(3, 40), None)
        call.intent.recordings = 1


def _out_answered(call: _Call) -> None:
    (person,) = call.cast.staff(1)
    call.outbound(person)
    call.ring(person, call.contact_leg)
    call.note()
    call.pause(2500, 30_000)
    call.talk(person, call.new_leg())
    call.finish_answered(person)


def _out_unanswered(call: _Call) -> None:
    (person,) = call.cast.staff(1)
    call.outbound(person)
    shape = "out_unrung" if call.rng.random() < 0.3 else "out_rung"
    if shape == "out_rung":
        call.ring(person, call.contact_leg)
        call.pause(5000, 45_000)
    call.unanswered(shape, call.rng.choice(("2", "2", "2+8", "8+2")), person)


def _transfer(call: _Call) -> None:
    call.inbound()
    chain = call.cast.staff(call.rng.randint(2, 3))
    if len(chain) == 2 and call.rng.random() < 0.3:
        chain.append(chain[0])  # and back, on a leg of its own
    leg = call.ring(chain[0])
    call.pause(2500, 15_000)
    began = call.begin_talk(chain[0], leg)
    for person, target in zip(chain, chain[1:]):
        call.pause(5000, 120_000)
        new_leg = call.ring(target)
        call.pause(3000, 9000)
        if call.rng.random() < 0.25:  # the next talk starts before the first is taken down
            new_began = call.begin_talk(target, new_leg)
            call.pause(1500, 2500)
            call.end_talk(person, leg, began)
        else:
            call.end_talk(person, leg, began)
            call.pause(1000, 5000)
            new_began = call.begin_talk(target, new_leg)
        call.intent.transfers.append((person["id"], target["id"]))
        leg, began = new_leg, new_began
    call.pause(5000, 120_000)
    call.end_talk(chain[-1], leg, began)
    call.finish_answered(chain[-1])


def _consultation(call: _Call) -> None:
    """Somebody is asked meanwhile; the contact stays with the first employee."""
    call.inbound()
    first, asked = call.cast.staff(2)
    leg = call.ring(first)
    call.pause(2500, 15_000)
    began = call.begin_talk(first, leg)
    call.pause(5000, 60_000)
    other = call.ring(asked)
    call.pause(3000, 9000)
    asked_at = call.begin_talk(asked, other, leg)
    call.pause(5000, 30_000)
    call.end_talk(asked, other, asked_at, leg)
    call.pause(4000, 60_000)
    call.end_talk(first, leg, began)
    call.intent.employee = first["id"]
    call.finish_answered(first)


def _click_to_call(call: _Call) -> None:
    """Call API: the vendor says ``in``, though the company dials."""
    call.inbound()
    call.constants["call_source"] = call.rng.choice(("callapi", "callapi_management_call"))
    call.constants["external_id"] = f"crm-{call.rng.randint(1, 10**9)}"
    call.intent.direction = "out"
    (person,) = call.cast.staff(1)
    leg = call.ring(person)
    call.pause(3000, 20_000)
    call.talk(person, leg)
    call.finish_answered(person)


def _stranger(call: _Call) -> None:
    """An employee whom the config does not know answers."""
    call.inbound()
    person = call.cast.stranger
    leg = call.ring(person)
    call.pause(2500, 30_000)
    call.talk(person, leg)
    call.finish_answered(person)


STORIES: dict[str, tuple[int, Callable[[_Call], None]]] = {
    "answered": (26, _answered),
    "parallel": (14, _parallel),
    "serial": (10, _serial),
    "lost_ringing": (10, _lost_ringing),
    "lost_parallel": (3, _lost_parallel),
    "ivr": (5, _ivr),
    "lost_alone": (1, _lost_alone),
    "voicemail": (3, _voicemail),
    "out_answered": (10, _out_answered),
    "out_unanswered": (8, _out_unanswered),
    "transfer": (5, _transfer),
    "consultation": (2, _consultation),
    "click_to_call": (3, _click_to_call),
    "stranger": (1, _stranger),
}


def check(story: Story, account: Any, record: dict[str, Any], closed_by: str) -> list[str]:
    """Where the record says something else than the story meant."""
    intent = story.intent

    def short(ident: str) -> str:
        return (account.employee(ident) or {}).get("extension", ident)

    found = {
        "outcome": (record["outcome"], intent.outcome),
        "employee": (record.get("employee", {}).get("id"), intent.employee),
        "legs": (len(record.get("legs", ())), intent.legs),
        "transfers": (
            [(t["from"], t["to"]) for t in record.get("transfers", ())],
            [(short(a), short(b)) for a, b in intent.transfers],
        ),
        "recordings": (
            sum(1 for r in record.get("recordings", ()) if r["state"] == "available"),
            intent.recordings,
        ),
        "closed_by": (closed_by, intent.closed_by),
        "id": (record["id"], ids.call_id(account.name, story.session)),
    }
    if story.name != "lost_alone":
        found["direction"] = (record.get("direction"), intent.direction)
    if intent.talk_s >= 0:
        found["talk_s"] = (record["talk_ms"] // 1000, intent.talk_s)
    return [f"{name}: {got!r}, meant {want!r}" for name, (got, want) in found.items() if got != want]
