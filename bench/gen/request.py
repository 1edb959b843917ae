"""One HTTP request as it lies in a traffic file, and the door every request passes (rules 3)."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from .accounts import Account

REFUSAL_NAMES = {403: "bad token", 404: "unknown account", 405: "method", 413: "too large"}


@dataclass
class Request:
    """A request in sending order; ``path`` is what follows ``/hooks/<account>``."""

    n: int
    at_ms: int  # since the start of the run
    call: str  # what keeps its order: a call's id, or a word of its own
    account: str
    method: str
    path: str = ""
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def target(self, prefix: str = "/hooks") -> str:
        """The request target to be sent."""
        path = "/".join(part for part in (f"{prefix}/{self.account}", self.path) if part)
        return f"{path}?{self.query}" if self.query else path

    def to_json(self) -> dict[str, Any]:
        """The row in the traffic file; the body is base64 only where it is no UTF-8."""
        row: dict[str, Any] = {
            "n": self.n,
            "at_ms": self.at_ms,
            "call": self.call,
            "account": self.account,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": self.headers,
        }
        try:
            row["body"] = self.body.decode("utf-8")
        except UnicodeDecodeError:
            row["body_base64"] = base64.b64encode(self.body).decode()
        return row

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> "Request":
        """The reverse of to_json."""
        row = dict(row)
        encoded = row.pop("body_base64", None)
        body = base64.b64decode(encoded) if encoded is not None else row.pop("body").encode()
        return cls(**row, body=body)


@dataclass(frozen=True)
class Door:
    """What ingest checks before it looks at the content."""

    accounts: dict[str, Account]
    body_bytes_max: int = 1 << 20

    def refusal(self, request: Request) -> int | None:
        """The status this request must be refused with; None for an authentic one."""
        account = self.accounts.get(request.account)
        if account is None:
            return 404
        if request.method not in ("GET", "POST"):
            return 405
        if len(request.body) > self.body_bytes_max:
            return 413
        return None if self._authentic(account, request) else 403

    @staticmethod
    def _authentic(account: Account, request: Request) -> bool:
        last = request.path.strip("/").rpartition("/")[2]
        in_query = dict(parse_qsl(request.query, keep_blank_values=True)).get("token")
        return account.token in (last, in_query)

    def suffix(self, request: Request) -> str:
        """The path without the token."""
        account = self.accounts[request.account]
        parts = request.path.strip("/").split("/")
        if parts[-1] == account.token:
            parts.pop()
        return "/".join(parts)
