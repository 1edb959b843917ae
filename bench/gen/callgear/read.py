"""Reads one CallGear request into at most one canonical event (rules 1 to 4, sheet 2 to 4)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from .. import ids, numbers, times
from ..accounts import Account
from . import words

SOURCE = "callgear"
_MACRO = re.compile(r"\{\{\s*\w+\s*\}\}")
_DOUBLED = re.compile(r'(:\s*)""((?:[^"\\\n]|\\.)+)""')
_FIGURE = re.compile(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?", re.ASCII)
_ABSENT_WORDS = ("", "null", "None")
_GLUED = "employee_full_name="
_ALIASES = {"file_duration": ("call_record_duration",)}


class Undecodable(Exception):
    """The request is authentic, but says nothing that can be kept as an event."""


class _Inexact(str):
    """A JSON number with fraction or exponent as it was written, so that nothing rounds it."""


@dataclass(frozen=True)
class Reading:
    """The event, and the mnemonic (or None) that it was taken for."""

    event: dict[str, Any]
    mnemonic: str | None


def read(
    account: Account, method: str, suffix: str, query: str, body: bytes, received_ms: int | None
) -> Reading:
    """One authentic request. Raises Undecodable."""
    fields = _Fields(_content(method, query, body))
    return _Reader(account, fields, suffix, received_ms).reading()


def _content(method: str, query: str, body: bytes) -> dict[str, Any]:
    if method == "GET":
        return _form(query)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Undecodable("not UTF-8") from error
    if text.lstrip().startswith("{"):
        return _json(text)
    return _form(text.strip())


def _json(text: str) -> dict[str, Any]:
    for attempt in (text, _repaired(text)):
        try:
            value = json.loads(attempt, parse_float=_Inexact)
        except ValueError:
            continue
        if isinstance(value, dict):
            return value
    raise Undecodable("not JSON")


def _repaired(text: str) -> str:
    """What administrators do to templates: quotes round a macro, a macro the event lacks."""
    return _MACRO.sub("null", _DOUBLED.sub(r'\1"\2"', text))


def _form(text: str) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        if key == "token":
            continue
        if key == "communication_number" and _GLUED in value:
            value, _, name = value.partition(_GLUED)  # the vendor's template lacks this "&"
            fields.setdefault("employee_full_name", _form_value(name))
        fields.setdefault(key, _form_value(value))
    if not fields:
        raise Undecodable("no fields")
    return fields


def _form_value(text: str) -> Any:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
    if text in _ABSENT_WORDS:
        return None
    if text.startswith("["):
        try:
            return json.loads(text, parse_float=_Inexact)
        except ValueError:
            return text
    return text


class _Fields:
    """The values of a request wherever its template put them."""

    def __init__(self, content: dict[str, Any]) -> None:
        self._levels = [content] + [v for v in content.values() if isinstance(v, dict)]

    def any(self, name: str) -> Any:
        """The value at the top level, else one level down; None when absent."""
        for key in (name, *_ALIASES.get(name, ())):
            for level in self._levels:
                value = level.get(key)
                if value is None or isinstance(value, dict) or value in _ABSENT_WORDS:
                    continue
                if isinstance(value, str) and _MACRO.fullmatch(value):
                    continue
                return value
        return None

    def text(self, name: str) -> str | None:
        """A value as text, numbers as they were written."""
        value = self.any(name)
        if isinstance(value, bool):
            return "true" if value else "false"
        return None if value is None or isinstance(value, list) else str(value)

    def ident(self, name: str) -> str | None:
        """An id as text, unchanged. Raises Undecodable for one that was rounded or is negative."""
        return _ident(self.any(name), name)

    def idents(self, name: str) -> list[str]:
        """A list of ids; a single one counts as a list of one."""
        value = self.any(name)
        items = value if isinstance(value, list) else [] if value is None else [value]
        found = (_ident(item, name) for item in items)
        return ids.sorted_as_numbers(item for item in found if item)

    def seconds(self, name: str) -> int | None:
        """A length in ms; None for a figure that is no number, or below nothing."""
        try:
            ms = round(float(self.text(name) or "") * 1000)
        except ValueError:
            return None
        return ms if ms >= 0 else None

    def texts(self, name: str) -> list[str]:
        """A list of words."""
        value = self.any(name)
        items = value if isinstance(value, list) else [value]
        return [str(item) for item in items if item not in (None, "")]


def _ident(value: Any, name: str) -> str | None:
    if value is None or isinstance(value, (bool, list)):
        return None
    text = str(value)
    if _FIGURE.fullmatch(text) and not text.isdigit():
        raise Undecodable(f"{name} is no whole number")
    return text


class _Reader:
    """One request on its way to an event."""

    def __init__(
        self, account: Account, fields: _Fields, suffix: str, received_ms: int | None
    ) -> None:
        self.account = account
        self.fields = fields
        self.received_ms = received_ms
        self.last_segment = suffix.strip("/").rpartition("/")[2]

    def reading(self) -> Reading:
        """The event of this request."""
        session = self.fields.ident("call_session_id")
        if not session:
            raise Undecodable("no call_session_id")
        mnemonic = self._mnemonic()
        kind = self._kind(mnemonic)
        event: dict[str, Any] = {
            "schema": "callstream.event/1",
            "id": "",
            "account": self.account.name,
            "source": SOURCE,
            "call_session_id": session,
            "kind": kind,
        }
        event.update(_present(self._common(mnemonic)))
        event.update(_present(self._own(kind, event, mnemonic)))
        if "at" not in event:  # then received_at is its time (rules 1.2)
            event["timed"] = False
        event["id"] = self._event_id(event)
        return Reading(event, mnemonic)

    def _mnemonic(self) -> str | None:
        fields = self.fields
        return (
            words.known(fields.text("notification_mnemonic"))
            or words.known(self.last_segment)
            or words.by_name(fields.text("notification_name"))
            or self._guess()
        )

    def _guess(self) -> str | None:
        # A mnemonic nobody knows is a note; only what has none is told by its shape.
        return None if self.fields.text("notification_mnemonic") else self._by_shape()

    def _by_shape(self) -> str | None:
        def has(name: str) -> bool:
            return self.fields.any(name) is not None

        if has("file_link"):
            return "talk_record_file"
        if has("total_time_duration"):
            return "call_session_finished"
        if has("leg_ids"):
            return "talk_finished" if has("talk_time_duration") else "talk_started"
        shapes = {
            "leg_id": "call_proceeding",
            "employee_ids": "lost_call_session",
            "employee_phone_number": "out_call_session",
        }
        return next((word for name, word in shapes.items() if has(name)), None)

    def _kind(self, mnemonic: str | None) -> str:
        kind = words.KINDS.get(mnemonic or "", "note")
        if kind == "leg.held":
            status = (self.fields.text("status") or "").lower()
            return "leg.held" if status in ("on", "hold", "true", "1") else "leg.resumed"
        return kind

    def _common(self, mnemonic: str | None) -> dict[str, Any]:
        fields = self.fields
        contact = numbers.party(fields.text("contact_phone_number"))
        contact.update(
            _present({"id": fields.ident("contact_id"), "name": fields.text("contact_full_name")})
        )
        return {
            "leg_id": fields.ident("leg_id"),
            "leg_ids": fields.idents("leg_ids"),
            "at": self._at(),
            "direction": self._direction(mnemonic),
            "line": numbers.line(fields.text("virtual_phone_number")),
            "contact": contact,
            "employee": self._employee(),
            "call_source": fields.text("call_source"),
            "external_id": fields.text("external_id"),
            "scenario": fields.text("scenario_name"),
            "started_at": self._wall("start_time"),
        }

    def _at(self) -> str | None:
        """The vendor's time; None (then received_at counts) when it cannot be read."""
        stamp = self.fields.text("notification_timestamp")
        if stamp and stamp.isdigit():
            return times.iso(int(stamp) * 1000)
        return self._wall("notification_time")

    def _wall(self, name: str) -> str | None:
        ms = times.from_wall(self.fields.text(name) or "", self.account.timezone, self.received_ms)
        return None if ms is None else times.iso(ms)

    def _direction(self, mnemonic: str | None) -> str | None:
        said = self.fields.text("direction")
        if self.fields.text("is_internal") in ("true", "1"):
            return "internal"
        if said in ("in", "out"):
            return said
        return {"in_call_session": "in", "out_call_session": "out"}.get(mnemonic or "")

    def _employee(self) -> dict[str, str]:
        fields = self.fields
        row = _present(
            {
                "id": fields.ident("employee_id"),
                "extension": numbers.extension(fields.text("extension_phone_number")),
                "name": fields.text("employee_full_name"),
            }
        )
        if set(row) == {"id"}:
            row.update(self.account.employee(row["id"]) or {})
        return row

    def _own(self, kind: str, event: dict[str, Any], mnemonic: str | None) -> dict[str, Any]:
        fields = self.fields
        reason = fields.text("finish_reason") or fields.text("lost_reason")
        if kind == "call.ended":
            return {
                "ended_at": self._wall("finish_time"),
                "wait_ms": fields.seconds("wait_time_duration"),
                "talk_ms": fields.seconds("talk_time_duration"),
                "total_ms": fields.seconds("total_time_duration"),
                "tags": fields.texts("tag_names"),
                "cause": _present({"vendor": reason}),
            }
        if kind == "call.lost":
            return {
                "wait_ms": fields.seconds("wait_time_duration"),
                "cause": _present({"vendor": reason}),
            }
        if kind == "talk.ended":
            return {"talk_ms": fields.seconds("talk_time_duration")}
        if kind == "recording.available":
            link = fields.text("file_link")
            if not link:
                return {}
            call = ids.call_id(event["account"], event["call_session_id"])
            return {
                "recording": ids.recording_id(call, link),
                "source_url": link,
                "duration_ms": fields.seconds("file_duration"),
            }
        return {"name": self._note_name(mnemonic)} if kind == "note" else {}

    def _note_name(self, mnemonic: str | None) -> str | None:
        return mnemonic or self.fields.text("notification_mnemonic") or self.fields.text(
            "notification_name"
        )

    def _event_id(self, event: dict[str, Any]) -> str:
        fields = self.fields
        leg = event.get("leg_id") or ",".join(event.get("leg_ids", ()))
        time = fields.text("notification_time") or fields.text("notification_timestamp")
        key = [event["kind"], event["call_session_id"], leg, time]
        if event["kind"] == "note":
            key[0] = event.get("name")
        else:
            key.append(event.get("source_url"))
        return ids.event_id(event["account"], SOURCE, key)


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value not in (None, [], {}, "")}
