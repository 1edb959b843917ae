"""When each request is sent, and what the vendor's clock said when it happened.

Two clocks: the *simulated* one stands in the bodies (a talk may last minutes), the *sending* one is
compressed (the whole call passes in a second or two), so that thousands of calls fit into a demo.
Both meet in that no body is younger than its sending, and the youngest is at most moments old. A
call's gaps while sending stay far below the shortest closer, so that only calls which really lack
their end are closed by one.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from .callgear.render import Notice

_LAG_MS = (20, 900)  # between a fact and its notification


@dataclass(frozen=True)
class Pace:
    """Gaps between the requests of one call, in ms."""

    gap_min: int = 15
    gap_max: int = 400


def offsets(notices: list[Notice], begin_ms: int, pace: Pace, rng: random.Random) -> list[int]:
    """Sending times since the start of the run, in the order of the notices."""
    sent = []
    now = begin_ms
    for index, notice in enumerate(notices):
        if index:
            drawn = rng.randint(pace.gap_min, pace.gap_max)
            now += drawn if notice.wait_ms is None else notice.wait_ms
        sent.append(now)
    return sent


def anchor(notices: list[Notice], sent: list[int], start_at_ms: int, rng: random.Random) -> int:
    """The simulated start of a call: as late as its sending times allow."""
    return min(
        start_at_ms + at - rng.randint(*_LAG_MS) - notice.at_ms
        for notice, at in zip(notices, sent)
    )


def move(notices: list[Notice], by_ms: int) -> None:
    """Shifts the simulated clock of a whole call."""
    for notice in notices:
        notice.at_ms += by_ms
        for name in ("start_time", "finish_time"):
            if isinstance(notice.values.get(name), int):
                notice.values = {**notice.values, name: notice.values[name] + by_ms}
