"""What CallGear's finish reasons say, where rules 6 leaves no doubt (sheet 7.3).

This is the checker's own table; the program has another (callgear-reasons.tsv). A Q.850 value is
given only where any reader must arrive at it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

ANY, FACTS, SIDES = "any", "facts", "sides"


@dataclass(frozen=True)
class Reason:
    """One row: words (with ``*``), the outcome of an unanswered call, Q.850, who ended it."""

    words: tuple[str, ...]
    outcome: str  # or FACTS: other facts decide; SIDES: who hung up, and which way the call went
    q850: int | None = None
    by: str | None = None


TABLE = (
    Reason(("operator_disconnects",), SIDES, by="employee"),
    Reason(("subscriber_disconnects", "caller_disconnects"), SIDES, by="contact"),
    Reason(("disconnect_before_call_processing",), "cancelled"),
    Reason(("subscriber_busy", "caller_busy", "operator_busy"), "busy", 17),
    Reason(
        (
            "subscriber_not_responsible",
            "caller_not_responsible",
            "subscriber_not_responsive",
            "caller_not_responsive",
            "operator_not_responsible",
            "operator_not_responsive",
            "timeout",
            "no_success_subscriber_call",
            "no_success_caller_call",
            "no_success_operator_call",
        ),
        "no_answer",
    ),
    Reason(
        (
            "subscriber_number_problems",
            "caller_number_problems",
            "operator_number_problems",
            "sip_offline",
            "locked_phone",
            "net_lock",
        ),
        "unavailable",
    ),
    Reason(
        (
            "numa_in_black_list",
            "numa_in_spam_list",
            "out_call_not_allowed",
            "not_enough_money",
            "no_money",
            "limit_exceeded",
            "locked_numb",
        ),
        "blocked",
    ),
    Reason(("scenario_disconnects", "no_active_scenario"), "failed"),
    Reason(
        ("another_operator_answer", "transfer_disconnects", "success_finish", "call_enqueued"),
        FACTS,
    ),
)
PATTERNS = (
    Reason(("*_busy",), "busy", 17),
    Reason(("*_not_responsible", "*_responsive", "no_success_*"), "no_answer"),
    Reason(("*_number_problems",), "unavailable"),
    Reason(("*_not_allowed*",), "blocked"),
)


def find(word: str) -> Reason | None:
    """The row for a reason; None for one we have never heard of."""
    for row in TABLE:
        if word in row.words:
            return row
    for row in PATTERNS:
        if any(fnmatchcase(word, pattern) for pattern in row.words):
            return row
    return None


def outcome(word: str | None, direction: str | None, rang: bool, no_answer: bool) -> str:
    """The outcome of a call without a talk.

    ``no_answer``: a leg rang, an employee is known, or the kind is lost.
    """
    if word is None:
        return "no_answer" if no_answer else "cancelled"
    row = find(word)
    if row is None:
        return "unknown"
    if row.outcome == FACTS:
        return "no_answer"
    if row.outcome == SIDES:
        calling = "employee" if direction == "out" else "contact"
        return "cancelled" if row.by == calling or not rang else "rejected"
    return row.outcome
