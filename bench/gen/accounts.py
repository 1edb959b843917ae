"""Accounts whose traffic is made, and the settings both sides must agree on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from . import times


@dataclass(frozen=True)
class Account:
    """One account as config knows it, and how its administrator wrote the templates."""

    name: str
    source: str
    timezone: str
    token: str
    recordings: str  # always | never
    layout: str  # the vendor's render module knows it
    token_in: str = "path"  # path | query
    kind_in_path: bool = False  # every notification has an address of its own
    employees: tuple[dict[str, str], ...] = ()  # id, extension, name

    def employee(self, ident: str) -> dict[str, str] | None:
        """The configured employee with this id."""
        return next((row for row in self.employees if row["id"] == ident), None)

    def to_json(self) -> dict[str, Any]:
        """For the truth file."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> "Account":
        """The reverse of to_json."""
        return cls(**{**row, "employees": tuple(row.get("employees") or ())})

    def yaml(self, recording_wait: str) -> str:
        """This account as one item of the config's ``accounts`` list."""
        lines = [
            f"  - name: {self.name}",
            f"    source: {self.source}",
            f"    timezone: {self.timezone}",
            f"    token: {json.dumps(self.token)}",
            f"    recordings: {self.recordings}",
            f"    recording_wait: {recording_wait}",
        ]
        if self.employees:
            lines.append("    employees:")
            lines += [f"      - {json.dumps(row, ensure_ascii=False)}" for row in self.employees]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Closers:
    """The time-outs that end a call without its end event, in ms; the demo's are short."""

    end_grace: int = 1000
    lost_without_end_after: int = 3000
    talk_without_end_after: int = 4000
    silent_call_after: int = 6000
    recording_wait: int = 5000
    NAMES: ClassVar[tuple[str, ...]] = (
        "end_grace",
        "lost_without_end_after",
        "talk_without_end_after",
        "silent_call_after",
        "recording_wait",
    )

    @classmethod
    def from_texts(cls, texts: dict[str, str]) -> "Closers":
        """From option values such as ``4s``."""
        return cls(**{name: times.duration_ms(texts[name]) for name in cls.NAMES})

    def to_json(self) -> dict[str, int]:
        """For the truth file and the table."""
        return {name: getattr(self, name) for name in self.NAMES}

    @property
    def shortest(self) -> int:
        """The least silence after which anything may be closed."""
        return min(
            self.lost_without_end_after, self.talk_without_end_after, self.silent_call_after
        )
