"""Name-based ids of events, calls and recordings (contract 3.1, 3.2; rules 2, 7)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

NAMESPACE = uuid.UUID("d74265c1-8fb4-540d-9e96-c913dfe35a1b")


def _named(parts: Iterable[str | None]) -> str:
    return str(uuid.uuid5(NAMESPACE, "\n".join(part or "" for part in parts)))


def call_id(account: str, session: str) -> str:
    """The id a call keeps for ever."""
    return _named((account, session))


def event_id(account: str, source: str, duplicate_key: Iterable[str | None]) -> str:
    """The id that every repetition of one webhook shares; absent key parts are empty."""
    return _named((account, source, *duplicate_key))


def recording_id(call: str, link: str) -> str:
    """CallGear numbers no recordings, so call and link together do."""
    return _named((call, link))


def sorted_as_numbers(ids: Iterable[str]) -> list[str]:
    """Ids by value where they are digits, else behind them by text."""
    return sorted(ids, key=id_order)


def id_order(text: str) -> tuple[int, int, str]:
    """A sort key: digits compare as numbers of any size, anything else as text."""
    if text.isascii() and text.isdigit():
        return (0, int(text), text)
    return (1, 0, text)
