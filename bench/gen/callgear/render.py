"""Turns a notice (what happened, with every value the vendor knows) into an HTTP request."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus

from .. import times
from ..accounts import Account
from . import words
from .layouts import LAYOUTS, UNREPLACED, Layout

_AGENTS = ("Go-http-client/1.1", "python-requests/2.28", "")


@dataclass
class Notice:
    """One notification the vendor would send."""

    at_ms: int  # simulated time of the vendor's clock
    mnemonic: str
    values: dict[str, Any] = field(default_factory=dict)
    wait_ms: int | None = None  # sending: this long after the one before; None: as the pace says


@dataclass
class Rendered:
    """The parts of a request that depend on the notification."""

    method: str
    suffix: str
    query: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Style:
    """What may differ between two tellings of the same notification."""

    separators: tuple[str, str] = (", ", ": ")
    newline: str = ""  # after each member
    shuffle: bool = False
    escape: bool = False  # \\uXXXX instead of UTF-8
    quote_space: bool = False  # %20 instead of +

    @classmethod
    def draw(cls, rng: random.Random, shuffle: bool = False) -> "Style":
        """Any style."""
        return cls(
            separators=rng.choice(((", ", ": "), (",", ":"), (" , ", " : "))),
            newline=rng.choice(("", "", "\n  ", "\r\n\r\n    ")),
            shuffle=shuffle,
            escape=rng.random() < 0.3,
            quote_space=rng.random() < 0.5,
        )


def render(account: Account, notice: Notice, style: Style, choice: int, rng: random.Random) -> Rendered:
    """The request; ``choice`` fixes what must not differ between a request and its copy."""
    layout = LAYOUTS[account.layout]
    name, word, segment = _names(account, notice, choice)
    values = {
        **notice.values,
        "notification_mnemonic": word,
        "notification_name": name,
        "notification_time": times.wall_text(notice.at_ms, account.timezone, layout.fraction),
        "notification_timestamp": notice.at_ms // 1000,
    }
    values["call_record_duration"] = values.get("file_duration")
    for key in ("start_time", "finish_time"):
        if isinstance(values.get(key), int):
            values[key] = times.wall_text(values[key], account.timezone)
    headers = {"User-Agent": rng.choice(_AGENTS)}
    if layout.form == "get":
        query = _query(notice.mnemonic, layout, values, style, choice)
        return Rendered("GET", segment, query, _kept(headers), b"")
    if layout.form == "json" and account.layout == "planfix" and choice % 50 == 7:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = _query(notice.mnemonic, layout, values, style, choice)
        return Rendered("POST", segment, "", _kept(headers), body.encode())
    headers["Content-Type"] = rng.choice(("application/json", "text/plain; charset=utf-8", ""))
    body = _json_body(notice.mnemonic, layout, values, style, choice, rng)
    return Rendered("POST", segment, "", _kept(headers), body.encode())


def _kept(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if value}


def _names(account: Account, notice: Notice, choice: int) -> tuple[str, str, str]:
    """Notification name, mnemonic and path segment: one of them must tell the kind."""
    mnemonic = notice.mnemonic
    names = words.UI_NAMES.get(mnemonic, (mnemonic.replace("_", " "),) * 2)
    own = f"to CRM #{choice % 9}"
    if "notification_mnemonic" in LAYOUTS[account.layout].template(mnemonic)[""]:
        word = mnemonic.upper() if choice % 41 == 3 else mnemonic
        return (own if choice % 3 else names[choice % 2]), word, ""
    if _shape_suffices(notice) and choice % 29 == 5:
        return own, mnemonic, ""
    if choice % 2:
        return names[(choice // 2) % 2], mnemonic, ""
    legacy = [old for old, new in words.LEGACY.items() if new == mnemonic and old != "call_placed"]
    segment = legacy[0] if legacy and choice % 7 == 2 else mnemonic
    return own, mnemonic, segment.capitalize() if choice % 11 == 4 else segment


def _shape_suffices(notice: Notice) -> bool:
    """Whether the fields alone say the kind without doubt."""
    return notice.mnemonic in (
        "call_proceeding",
        "talk_started",
        "talk_finished",
        "call_session_finished",
        "talk_record_file",
    )


# --- JSON ---


def _json_body(
    mnemonic: str,
    layout: Layout,
    values: dict[str, Any],
    style: Style,
    choice: int,
    rng: random.Random,
) -> str:
    members: list[tuple[str, str]] = []
    for group, fields in layout.template(mnemonic).items():
        inner = [
            (name, _macro(mnemonic, name, values.get(name), layout, style, choice))
            for name in fields
        ]
        if style.shuffle:
            rng.shuffle(inner)
        if group:
            members.append((group, _object(inner, style)))
        else:
            members += inner
    if style.shuffle:
        rng.shuffle(members)
    return _object(members, style)


def _object(members: list[tuple[str, str]], style: Style) -> str:
    comma, colon = style.separators
    comma += style.newline
    return "{" + style.newline + comma.join(f'"{k}"{colon}{v}' for k, v in members) + "}"


def _macro(
    mnemonic: str, name: str, value: Any, layout: Layout, style: Style, choice: int
) -> str:
    """What stands in the body where the template has ``{{name}}``."""
    if layout.quotes and (mnemonic, name) in UNREPLACED and choice % 5 < 2:
        return "{{" + name + "}}"
    text = json.dumps(value, ensure_ascii=style.escape)
    if not layout.quotes or choice % 3:
        return text
    if name in ("employee_full_name", "contact_full_name", "scenario_name"):
        plain = isinstance(value, str) and value and "\\" not in text and '"' not in value
        return f'"{text}"' if plain else text
    if name in ("call_session_id", "leg_id") and value is not None:
        return f'"{text}"'
    return text


# --- GET and form ---


def _query(
    mnemonic: str, layout: Layout, values: dict[str, Any], style: Style, choice: int
) -> str:
    parts = []
    for name in layout.template(mnemonic)[""]:
        parts.append((name, _parameter(values.get(name), choice, style)))
    text = "&".join(f"{name}={value}" for name, value in parts)
    if mnemonic == "call_session_finished" and choice % 2:
        text = text.replace("&employee_full_name=", "employee_full_name=", 1)
    return text


def _parameter(value: Any, choice: int, style: Style) -> str:
    if value is None:
        text = ("null", "", "None")[choice % 3]
    elif isinstance(value, (list, bool)):
        text = json.dumps(value, ensure_ascii=style.escape)
    else:
        text = str(value)
        if isinstance(value, str) and choice % 4 == 1:
            text = f'"{text}"'
    return (quote if style.quote_space else quote_plus)(text, safe="")
