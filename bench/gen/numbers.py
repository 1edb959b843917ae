"""Telephone numbers as a record writes them (rules 4)."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"[0-9+()\-./ \t]+")
_TAIL = re.compile(r"(\+?[0-9]{7,})\.[0-9.*#]+")
_EXTENSION = re.compile(r"[0-9]+-(.+)", re.DOTALL)


def party(text: str | None) -> dict[str, str]:
    """``{"number"}``, ``{"uri"}`` or, for nothing that can be called, ``{}``."""
    text = (text or "").strip()
    if is_uri(text):
        return {"uri": text}
    digits = number(text)
    return {"number": digits} if digits else {}


def is_uri(text: str) -> bool:
    """Whether this is a SIP address, which is kept whole."""
    return text.lower().startswith(("sip:", "sips:")) or "@" in text


def number(text: str) -> str | None:
    """Digits only; None for ``0``, for words and for nothing. A DTMF tail is cut."""
    tail = _TAIL.fullmatch(text)
    if tail:
        text = tail[1]
    if not _NUMBER.fullmatch(text):
        return None
    digits = re.sub(r"\D", "", text)
    return digits if digits and digits != "0" else None


def line(text: str | None) -> str | None:
    """The account's own number; a SIP address stays as it is."""
    return next(iter(party(text).values()), None)


def extension(text: str | None) -> str | None:
    """A short number without the ``<digits>-`` that names the account."""
    if not text:
        return None
    found = _EXTENSION.fullmatch(text)
    return found[1] if found else text
