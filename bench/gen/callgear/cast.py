"""The people, numbers and ids of one account; all invented."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from ..accounts import Account

_NAMES = (
    "Whitfield Dana",
    "Reyes Omar",
    "Кузнецова Анна Сергеевна",
    'O\'Brien "Bo" Patrick',
    "Søndergaard Ærø",
    "Ли Вэй \U0001f4de",
)
_COMPANIES = (
    "Harbour Tiles Ltd",
    "ООО «Ромашка»",
    'Smith & Sons "Best" = 100%',
    "Tab\tand\\slash",
    "Zoë \U0001f600 Cafés",
    "株式会社テスト",
)
TAGS = ("Quote", "Repeat buyer", "vip", "Жалоба", "обратный звонок", "A&B")
SCENARIOS = ("Day desk", "Ночная смена", "IVR 2 / sales", None)


def employees(account: str, index: int) -> tuple[dict[str, str], ...]:
    """The office of one account; ids are unique over accounts, extensions are not."""
    first = 48000 + 100 * index
    return tuple(
        {"id": str(first + i), "extension": str(101 + i), "name": name}
        for i, name in enumerate(_NAMES)
    )


@dataclass
class Contact:
    """Somebody outside."""

    number: str | None
    ident: int | None
    name: str | None

    def values(self, rng: random.Random) -> dict[str, Any]:
        """As variables of a notification."""
        return {
            "contact_phone_number": self.number,
            "contact_id": self.ident,
            "contact_full_name": self.name,
            "communication_number": rng.choice((None, 1, 3, 17)),
        }


class Cast:
    """Draws whoever takes part; ids never repeat within one account."""

    def __init__(self, account: Account, index: int, rng: random.Random) -> None:
        self.account = account
        self.rng = rng
        self.people = employees(account.name, index)
        self.stranger = {"id": str(48099 + 100 * index)}  # no account's config knows this id
        self.app_id = 4000 + index
        # Runs of different seeds do not meet, so that several may pass through the same topics.
        self._next = 7312450000 + 50_000_000 * index + 10_000_000_000 * rng.randrange(100_000)
        self._lines = [f"4420794{601 + index}{n:02d}" for n in range(4)]

    def session(self) -> int:
        """A call's id; some pass what a double or 64 bits can hold."""
        self._next += self.rng.randint(1, 900)
        wide = self.rng.random()
        if wide < 0.05:
            return (1 << 64) + self._next
        return (1 << 53) + 2 * self._next + 1 if wide < 0.15 else self._next

    def legs(self) -> int:
        """The first leg id of a call: the rest follow it, all of one length."""
        base = self.rng.choice((9104000000, 9104000000, 1 << 54, (1 << 65) + 10_000_000_000))
        return base + self.rng.randint(0, 99_999) * 1000

    def line(self) -> str:
        """One of the account's numbers, now and then with a plus."""
        text = self.rng.choice(self._lines)
        return f"+{text}" if self.rng.random() < 0.1 else text

    def contact(self) -> Contact:
        """Mostly a plain number; sometimes what telephony makes of it."""
        digits = f"4477009{self.rng.randint(0, 99999):05d}"
        draw = self.rng.random()
        number: str | None = digits
        if draw < 0.05:
            number = f"+{digits[:2]} ({digits[2:5]}) {digits[5:8]}-{digits[8:]}"
        elif draw < 0.07:
            number = f"sip:visitor{digits[-4:]}@pbx.example"
        elif draw < 0.09:
            number = self.rng.choice(("Anonymous", None, "0"))
        elif draw < 0.10:
            number = f"{digits}.9.2.3"
        if self.rng.random() < 0.4:
            return Contact(number, self.rng.randint(500_000, 599_999), self.rng.choice(_COMPANIES))
        return Contact(number, None, None)

    def staff(self, count: int) -> list[dict[str, str]]:
        """Different employees of the office."""
        return self.rng.sample(self.people, count)
