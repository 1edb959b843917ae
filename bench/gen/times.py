"""Instants as milliseconds since 1970, wall clocks of a zone, durations (rules 1.2)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_WALL = re.compile(r"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[-+]\d\d:\d\d)?")
_NEAR_MS = 2 * 3600 * 1000
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """The IANA zone of that name."""
    return ZoneInfo(name)


def iso(ms: int) -> str:
    """``2026-03-14T10:15:02.000Z``, as every time in the contract is written."""
    when = EPOCH + timedelta(milliseconds=ms)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


def from_iso(text: str) -> int:
    """Milliseconds of an ISO 8601 time with zone."""
    when = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if when.tzinfo is None:
        raise ValueError(f"no zone in {text!r}")
    return (when - EPOCH) // timedelta(milliseconds=1)


def wall_text(ms: int, tz: str, fraction: bool = True) -> str:
    """The vendor's wall clock: ``YYYY-MM-DD hh:mm:ss[.sss]`` in the account's zone."""
    local = (EPOCH + timedelta(milliseconds=ms)).astimezone(zone(tz))
    text = f"{local:%Y-%m-%d %H:%M:%S}"
    return f"{text}.{ms % 1000:03d}" if fraction else text


def from_wall(text: str, tz: str, received_ms: int | None) -> int | None:
    """Reads a wall clock, without zone in the account's; None when it is no time.

    A time the clock skipped is read with the offset from before the jump, as if the clock had
    not been moved. One that exists twice is the earlier instant, unless the request was received
    within two hours of one of them: then the nearer.
    """
    found = _WALL.fullmatch(text.strip())
    if not found:
        return None
    *whole, fraction, own_zone = found.groups()
    ms = int((fraction or "0").ljust(3, "0")[:3])
    try:
        naive = datetime(*(int(part) for part in whole))  # type: ignore[arg-type]
        if own_zone:
            return from_iso(f"{naive.isoformat()}{own_zone}") + ms
    except ValueError:
        return None
    first, second = (_instant(naive, tz, fold) + ms for fold in (0, 1))
    if second <= first or received_ms is None:  # unique, or skipped: fold 0 is the old offset
        return first
    nearer = min((first, second), key=lambda at: abs(received_ms - at))
    return nearer if abs(received_ms - nearer) <= _NEAR_MS else first


def _instant(naive: datetime, tz: str, fold: int) -> int:
    aware = naive.replace(tzinfo=zone(tz), fold=fold)
    return (aware.astimezone(timezone.utc) - EPOCH) // timedelta(milliseconds=1)


def duration_ms(text: str) -> int:
    """``500ms``, ``1s``, ``10m`` as milliseconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text.strip())
    if not found:
        raise ValueError(f"no duration: {text!r} (like 500ms, 4s, 10m)")
    return round(float(found[1]) * _UNITS[found[2]])
