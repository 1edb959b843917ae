"""Which fields a notification template of an administrator carries, per layout (sheet 3, 4, 11).

A template is a tuple of field names; a nested one names its groups. ``planfix`` follows the
layout that the Planfix help page asks for, ``nested`` the vendor's own default (no mnemonic),
``query`` the GET form, ``rich`` is what we recommend, ``marked`` is planfix with two additions of
a careful administrator and the quotes of a careless one.
"""

from __future__ import annotations

from dataclasses import dataclass

Template = dict[str, tuple[str, ...]]  # group ("" is the top level) -> fields


@dataclass(frozen=True)
class Layout:
    """How one account's administrator wrote all the templates."""

    templates: dict[str, Template]
    form: str = "json"  # json | get | form
    fraction: bool = True  # milliseconds in the wall clock
    quotes: bool = False  # some macros were put between quotes
    fallback: Template | None = None  # for the kinds nobody thought of

    def template(self, mnemonic: str) -> Template:
        """The template of one kind."""
        found = self.templates.get(mnemonic, self.fallback)
        if found is None:
            raise KeyError(mnemonic)
        return found

    def offers(self, mnemonic: str) -> bool:
        """Whether this account has a notification of that kind."""
        return mnemonic in self.templates or self.fallback is not None


_NAMES = ("notification_name", "notification_mnemonic")
_WHEN = ("virtual_phone_number", "notification_time")
_CONTACT = ("contact_id", "contact_full_name")
_EMPLOYEE = ("employee_full_name", "employee_id")
_HEAD = (*_NAMES, *_WHEN)

_PLANFIX: dict[str, tuple[str, ...]] = {
    "in_call_session": (
        *reversed(_NAMES),
        *_WHEN,
        "scenario_name",
        "contact_phone_number",
        "communication_number",
        *_CONTACT,
        "call_session_id",
    ),
    "call_proceeding": (
        *_HEAD,
        "external_id",
        "contact_phone_number",
        "contact_id",
        *_EMPLOYEE,
        "call_source",
        "call_session_id",
        "direction",
        "leg_id",
    ),
    "talk_started": (
        *_HEAD,
        "external_id",
        "contact_phone_number",
        "contact_id",
        *_EMPLOYEE,
        "call_source",
        "call_session_id",
        "direction",
        "leg_ids",
    ),
    "talk_finished": (
        *_HEAD,
        "external_id",
        "contact_phone_number",
        "communication_number",
        *_EMPLOYEE,
        "call_source",
        "call_session_id",
        "direction",
        "scenario_name",
        "talk_time_duration",
        "leg_ids",
    ),
    "call_session_finished": (
        *_HEAD,
        "external_id",
        "contact_phone_number",
        "communication_number",
        *_EMPLOYEE,
        "call_source",
        "direction",
        "call_session_id",
        "scenario_name",
        "talk_time_duration",
        "total_time_duration",
        "wait_time_duration",
        "tag_names",
    ),
    "talk_record_file": (
        *_HEAD,
        "scenario_name",
        "contact_phone_number",
        "communication_number",
        *_CONTACT,
        "call_session_id",
        *_EMPLOYEE,
        "file_link",
        "file_duration",
        "tag_ids",
        "tag_names",
    ),
    "out_call_session": (
        *_HEAD,
        "contact_phone_number",
        *_CONTACT,
        "call_session_id",
        *_EMPLOYEE,
        "employee_phone_number",
    ),
    "lost_call_session": (
        *_HEAD,
        "scenario_name",
        "wait_time_duration",
        "employee_ids",
        "contact_phone_number",
        "communication_number",
        *_CONTACT,
        "call_session_id",
    ),
}
_NOTE = (*_HEAD, "call_session_id")
_LEG = (*_HEAD, "call_session_id", "leg_id", "direction")

_GROUPS = {
    "contact_info": ("contact_phone_number", "communication_number", *_CONTACT),
    "employee_info": (*_EMPLOYEE, "employee_ids", "employee_phone_number"),
    "call_record_file_info": ("file_link", "call_record_duration"),
    "voice_mail_file_info": ("file_link", "call_record_duration"),
    "tag_info": ("tag_ids", "tag_names"),
    "call_info": (
        "call_session_id",
        "call_source",
        "direction",
        "external_id",
        "scenario_name",
        "leg_id",
        "leg_ids",
        "talk_time_duration",
        "total_time_duration",
        "wait_time_duration",
    ),
}


def _flat(fields: tuple[str, ...]) -> Template:
    return {"": fields}


def _grouped(mnemonic: str, fields: tuple[str, ...]) -> Template:
    """The vendor's default: no mnemonic, values in groups, no line while it rings or talks start."""
    top = ["notification_name", "notification_time"]
    if mnemonic not in ("call_proceeding", "talk_started"):
        top.insert(1, "virtual_phone_number")
    wanted = {"call_record_duration" if f == "file_duration" else f for f in fields}
    file_group = "voice_mail_file_info" if mnemonic == "voice_message" else "call_record_file_info"
    template: Template = {"": tuple(top)}
    for group, members in _GROUPS.items():
        if group.endswith("file_info") and group != file_group:
            continue
        chosen = tuple(member for member in members if member in wanted)
        if chosen:
            template[group] = chosen
    return template


def _with(template: dict[str, tuple[str, ...]], *more: str) -> dict[str, tuple[str, ...]]:
    return {mnemonic: (*fields, *more) for mnemonic, fields in template.items()}


def _rich() -> dict[str, tuple[str, ...]]:
    base = {
        mnemonic: tuple(f for f in fields if f not in ("employee_full_name",))
        for mnemonic, fields in _PLANFIX.items()
    }
    base = _with(base, "app_id", "communication_id", "notification_timestamp", "start_time")
    base["call_session_finished"] += (
        "call_status",
        "finish_reason",
        "finish_time",
        "postprocess_time_duration",
    )
    base["lost_call_session"] += ("lost_reason",)
    for mnemonic in ("call_connected", "call_disconnected"):
        base[mnemonic] = (*_LEG, "notification_timestamp")
    base["call_hold_control"] = (*_LEG, "status", "notification_timestamp")
    base["voice_message"] = base["talk_record_file"]
    return base


_MARKED = {**_PLANFIX, "voice_message": _PLANFIX["talk_record_file"]}
_MARKED["call_session_finished"] += ("finish_reason",)
_MARKED["in_call_session"] += ("extension_phone_number",)

LAYOUTS = {
    "planfix": Layout({k: _flat(v) for k, v in _PLANFIX.items()}, fallback=_flat(_NOTE)),
    "nested": Layout({k: _grouped(k, v) for k, v in _PLANFIX.items()}),
    "query": Layout({k: _flat(v) for k, v in _PLANFIX.items()}, form="get", fraction=False),
    "rich": Layout({k: _flat(v) for k, v in _rich().items()}, fallback=_flat(_NOTE)),
    "marked": Layout({k: _flat(v) for k, v in _MARKED.items()}, quotes=True),
}
# what the vendor's preview does not catch: these macros are not offered to that kind
UNREPLACED = {("in_call_session", "extension_phone_number"), ("talk_record_file", "tag_ids")}
