"""What goes wrong between a vendor and us: repeats, disorder, requests that must be refused."""

from __future__ import annotations

import random
from dataclasses import dataclass

from .accounts import Account
from .request import Request


@dataclass(frozen=True)
class Shares:
    """How much is disturbed, each as a share of one."""

    repeat: float = 0.05  # of the requests
    disorder: float = 0.05  # of the requests
    no_end: float = 0.02  # of the calls
    bad: float = 0.02  # extra requests, as a share of the good ones


def displace(count: int, share: float, rng: random.Random) -> list[int]:
    """An order of ``count`` things in which about that share comes one to three places late."""
    order = list(range(count))
    index = 0
    while index < count - 1:
        if rng.random() < share:
            target = min(count - 1, index + rng.randint(1, 3))
            order.insert(target, order.pop(index))
            index = target
        index += 1
    return order


# What is authentic but says nothing: kept in topic dead, answered 200.
UNDECODABLE = (
    b'{"notification_mnemonic":"talk_started","call_session_id":77',
    b'{"notification_mnemonic":"talk_started","notification_time":"2025-03-18 10:15:02.118"}',
    b'{"notification_mnemonic":"talk_started","call_session_id":1e3}',
    b'{"notification_mnemonic":"talk_started","call_session_id":12.0}',
    b'{"notification_mnemonic":"talk_started","call_session_id":-5}',
    b'{"notification_mnemonic":"talk_started","call_session_id":7,"leg_ids":[1,2}',
    b'{"notification_name": ""a"b"", "call_session_id": {{call_session_id}}}',
    b'{"call_session_id":\xff\xfe}',
    b"{}",
)


def bad_request(accounts: list[Account], body_bytes_max: int, rng: random.Random) -> Request:
    """One request that must be refused, or kept as undecodable."""
    account = rng.choice(accounts)
    request = Request(0, 0, f"bad-{rng.getrandbits(48):012x}", account.name, "POST")
    request.headers = {"Content-Type": "application/json"}
    request.body = b'{"notification_mnemonic":"talk_started","call_session_id":4711}'
    kind = rng.choices(
        ("undecodable", "token", "no token", "account", "method", "large"), (40, 25, 10, 15, 8, 2)
    )[0]
    request.path = account.token
    if kind == "undecodable":
        mark = b" " * rng.randint(0, 9)  # several of one kind are several dead letters
        request.body = rng.choice(UNDECODABLE) + mark
    elif kind == "token":
        request.path = account.token[:-1] + "x"
    elif kind == "no token":
        request.path = ""
    elif kind == "account":
        request.account = f"nobody-{rng.randint(1, 99)}"
    elif kind == "method":
        request.method = rng.choice(("PUT", "DELETE", "PATCH"))
    else:
        request.body = b'{"call_session_id":1,"x":"' + b"x" * body_bytes_max + b'"}'
    return request
