"""The vendor's words for what happened, and the kinds we give them (rules 2, sheet 2)."""

from __future__ import annotations

# mnemonic -> kind; every other mnemonic is a note
KINDS = {
    "in_call_session": "call.started",
    "out_call_session": "call.started",
    "call_proceeding": "leg.ringing",
    "call_connected": "leg.answered",
    "call_disconnected": "leg.ended",
    "call_hold_control": "leg.held",  # or leg.resumed, by its status
    "talk_started": "talk.started",
    "talk_finished": "talk.ended",
    "call_session_finished": "call.ended",
    "lost_call_session": "call.lost",
    "talk_record_file": "recording.available",
    "voice_message": "recording.available",
}

OTHER_MNEMONICS = (
    "in_call",
    "out_call",
    "talk_record_control",
    "set_mark",
    "unset_mark",
    "fax_receive_finished",
    "offline_message",
    "chat_finished",
    "lost_chat",
    "unanswered_chats",
    "event",
    "sip_line_unregister",
)

LEGACY = {
    "incoming_call": "in_call_session",
    "call_placed": "out_call_session",
    "switch": "talk_started",
    "unswitch": "talk_finished",
    "lost_call": "lost_call_session",
    "call_recorded": "talk_record_file",
}

UI_NAMES = {
    "in_call_session": (
        "Inbound call on a virtual phone number",
        "Входящий звонок на виртуальный номер",
    ),
    "call_session_finished": ("Call finished", "Завершение звонка"),
    "talk_record_file": ("Call recording completed", "Записанный разговор"),
    "call_proceeding": ("Waiting for the answer", "Ожидание ответа"),
    "out_call_session": ("Outbound call", "Исходящий звонок"),
    "talk_started": ("Talk started", "Начало разговора"),
    "talk_finished": ("Talk finished", "Окончание разговора"),
    "lost_call_session": ("Lost call", "Потерянный звонок"),
}

_BY_NAME = {name.casefold(): word for word, names in UI_NAMES.items() for name in names}


def known(word: str | None) -> str | None:
    """The mnemonic that a mnemonic or legacy word in any case stands for."""
    word = (word or "").strip().lower()
    if word in KINDS or word in OTHER_MNEMONICS:
        return word
    return LEGACY.get(word)


def by_name(name: str | None) -> str | None:
    """The mnemonic behind a notification's name, where it is the vendor's own."""
    return _BY_NAME.get((name or "").strip().casefold())
