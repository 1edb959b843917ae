"""Makes a run: requests in sending order, and the truth about every request and every call."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from . import disturb, ids, schedule, times
from .accounts import Account, Closers
from .callgear import cast, fold, read, render, stories
from .disturb import Shares
from .request import Door, Request
from .schedule import Pace

_DAY_MS = 86_400_000
_MIDNIGHT_SHARE = 0.03
_LAYOUTS = (  # layout, zone, recordings, token in, an address per kind
    ("planfix", "Europe/London", "never", "path", False),
    ("nested", "America/New_York", "always", "query", True),
    ("query", "Europe/Moscow", "never", "path", False),
    ("rich", "Asia/Kolkata", "always", "path", False),
    ("marked", "Australia/Lord_Howe", "always", "path", False),
)


@dataclass(frozen=True)
class Plan:
    """Everything that, with the seed, decides a run."""

    seed: int = 1
    calls: int = 2000
    accounts: int = 5
    rate: float = 800.0  # requests per second while sending
    start_at_ms: int = 0
    shares: Shares = Shares()
    closers: Closers = Closers()
    body_bytes_max: int = 1 << 20

    @property
    def pace(self) -> Pace:
        """Gaps that no closer can mistake for silence."""
        return Pace(gap_max=min(400, self.closers.shortest // 6))


@dataclass
class Run:
    """A finished run."""

    plan: Plan
    accounts: list[Account]
    requests: list[Request]
    request_truth: list[dict[str, Any]] = field(default_factory=list)
    call_truth: list[dict[str, Any]] = field(default_factory=list)

    def head(self) -> dict[str, Any]:
        """The first row of the truth."""
        plan = self.plan
        return {
            "type": "run",
            "seed": plan.seed,
            "calls": plan.calls,
            "start_at": times.iso(plan.start_at_ms),
            "shares": vars(plan.shares),
            "closers": plan.closers.to_json(),
            "body_bytes_max": plan.body_bytes_max,
            "accounts": [account.to_json() for account in self.accounts],
        }


class TruthError(Exception):
    """A story and the record read back from its requests disagree: the generator is wrong."""


def make_accounts(count: int) -> list[Account]:
    """The demo's accounts; past the layouts they repeat under other names."""
    made = []
    for index in range(count):
        layout, zone, recordings, token_in, own_paths = _LAYOUTS[index % len(_LAYOUTS)]
        number = index // len(_LAYOUTS)
        name = f"demo-{layout}" + (f"-{number + 1}" if number else "")
        made.append(
            Account(
                name=name,
                source="callgear",
                timezone=zone,
                token=f"tok{index:02d}-5f0c91e2a7",
                recordings=recordings,
                layout=layout,
                token_in=token_in,
                kind_in_path=own_paths,
                employees=cast.employees(name, index) if layout == "rich" else (),
            )
        )
    return made


@dataclass
class _Draft:
    """One request before it has a number: what it tells, and how often it was told."""

    request: Request
    story: int | None  # index of its call; None for bad ones
    copy: bool = False


def make(plan: Plan) -> Run:
    """The run of a plan; the same plan gives the same run, byte for byte."""
    rng = random.Random(plan.seed)
    accounts = make_accounts(plan.accounts)
    maker = _Maker(plan, accounts, rng)
    drafts = maker.calls()
    drafts += maker.bad(len(drafts))
    drafts.sort(key=lambda draft: draft.request.at_ms)
    for n, draft in enumerate(drafts):
        draft.request.n = n
    run = Run(plan, accounts, [draft.request for draft in drafts])
    _Truth(run, maker.told, drafts).write()
    return run


class _Maker:
    """Draws stories, renders their requests and disturbs them."""

    def __init__(self, plan: Plan, accounts: list[Account], rng: random.Random) -> None:
        self.plan = plan
        self.accounts = accounts
        self.rng = rng
        self.told: list[tuple[stories.Story, Account, bool]] = []  # with: its clock is exact
        self.directors = [
            stories.Director(cast.Cast(account, i, rng), rng) for i, account in enumerate(accounts)
        ]
        self.span_ms = round(plan.calls * 7.5 / plan.rate * 1000)

    def calls(self) -> list[_Draft]:
        """The requests of all calls, copies included, not yet in order."""
        drafts = []
        for _ in range(self.plan.calls):
            drafts += self._call()
        return drafts

    def _call(self) -> list[_Draft]:
        which = self.rng.randrange(len(self.accounts))
        account = self.accounts[which]
        story = self.directors[which].story(self.rng.random() < self.plan.shares.no_end)
        story.notices.sort(key=lambda notice: notice.at_ms)
        begin = self.rng.randint(0, self.span_ms)
        sent = schedule.offsets(story.notices, begin, self.plan.pace, self.rng)
        self._set_clock(account, story, sent)
        exact = all(self._survives(account, notice.at_ms) for notice in story.notices)
        self.told.append((story, account, exact))
        order = disturb.displace(len(sent), self.plan.shares.disorder, self.rng)
        drafts = []
        for position, index in enumerate(order):
            drafts += self._tell(account, story, story.notices[index], sent[position])
        return drafts

    def _set_clock(self, account: Account, story: stories.Story, sent: list[int]) -> None:
        base = schedule.anchor(story.notices, sent, self.plan.start_at_ms, self.rng)
        schedule.move(story.notices, base)
        if self.rng.random() < _MIDNIGHT_SHARE:
            middle = (story.notices[0].at_ms + story.notices[-1].at_ms) // 2
            schedule.move(story.notices, -self._since_midnight(account, middle))

    @staticmethod
    def _since_midnight(account: Account, at_ms: int) -> int:
        clock = times.wall_text(at_ms, account.timezone).split(" ")[1]
        hours, minutes, seconds = clock.split(":")
        return (int(hours) * 60 + int(minutes)) * 60_000 + round(float(seconds) * 1000)

    def _survives(self, account: Account, at_ms: int) -> bool:
        """Whether the wall clock in the body still says which instant it was."""
        text = times.wall_text(at_ms, account.timezone)
        return times.from_wall(text, account.timezone, self.plan.start_at_ms) == at_ms

    def _tell(
        self, account: Account, story: stories.Story, notice: render.Notice, at_ms: int
    ) -> list[_Draft]:
        choice = self.rng.randrange(1 << 20)
        first = self._draft(account, story, notice, at_ms, choice, False)
        if self.rng.random() >= self.plan.shares.repeat:
            return [first]
        again = at_ms + self.rng.randint(150, 3000)
        copy = self._draft(account, story, notice, again, choice, True)
        if self.rng.random() < 0.3:  # the later copy arrives first
            first.request.at_ms, copy.request.at_ms = again, at_ms
        return [first, copy]

    def _draft(
        self,
        account: Account,
        story: stories.Story,
        notice: render.Notice,
        at_ms: int,
        choice: int,
        copy: bool,
    ) -> _Draft:
        style = render.Style.draw(self.rng, shuffle=copy) if copy else render.Style()
        made = render.render(account, notice, style, choice, self.rng)
        if copy:
            made.headers["X-Delivery"] = f"{self.rng.getrandbits(32):08x}"
        path, query = made.suffix, made.query
        if account.token_in == "query":
            query = "&".join(part for part in (query, f"token={account.token}") if part)
        else:
            path = "/".join(part for part in (path, account.token) if part)
        call = ids.call_id(account.name, story.session)
        request = Request(
            0, at_ms, call, account.name, made.method, path, query, made.headers, made.body
        )
        return _Draft(request, len(self.told) - 1, copy)

    def bad(self, good: int) -> list[_Draft]:
        """Requests that belong to no call."""
        drafts = []
        for _ in range(round(good * self.plan.shares.bad)):
            request = disturb.bad_request(self.accounts, self.plan.body_bytes_max, self.rng)
            request.at_ms = self.rng.randint(0, self.span_ms)
            drafts.append(_Draft(request, None))
        return drafts


class _Truth:
    """Reads every request back and says what must come of it."""

    def __init__(
        self, run: Run, told: list[tuple[stories.Story, Account, bool]], drafts: list[_Draft]
    ) -> None:
        self.run = run
        self.told = told
        self.drafts = drafts
        self.door = Door({a.name: a for a in run.accounts}, run.plan.body_bytes_max)
        self.events: list[list[tuple[Request, dict[str, Any]]]] = [[] for _ in told]

    def write(self) -> None:
        """Fills the run's truth."""
        for draft in self.drafts:
            self.run.request_truth.append(self._request(draft))
        for index, (story, account, exact) in enumerate(self.told):
            self.run.call_truth.append(self._call(index, story, account, exact))

    def _request(self, draft: _Draft) -> dict[str, Any]:
        request = draft.request
        row: dict[str, Any] = {"type": "request", "n": request.n, "account": request.account}
        status = self.door.refusal(request)
        if status is not None:
            flood = [429] if status in (403, 404) else []  # contract 2: from one address
            return {**row, "expect": "refused", "status": [status, *flood]}
        account = self.door.accounts[request.account]
        received = self.run.plan.start_at_ms + request.at_ms
        try:
            event = read.read(
                account,
                request.method,
                self.door.suffix(request),
                request.query,
                request.body,
                received,
            ).event
        except read.Undecodable as error:
            if draft.story is not None:
                raise TruthError(f"request {request.n}: {error}: {request.body!r}") from error
            return {**row, "expect": "dead", "status": [200], "why": str(error)}
        if draft.story is None:
            raise TruthError(f"a bad request reads well: {request.body[:200]!r}")
        self.events[draft.story].append((request, event))
        row.update({"expect": "event", "status": [200], "copy": draft.copy})
        return {**row, "call": request.call, "event": event}

    def _call(
        self, index: int, story: stories.Story, account: Account, exact: bool
    ) -> dict[str, Any]:
        told = self.events[index]
        folded = fold.fold((event for _, event in told), account.recordings)
        if folded is None:
            raise TruthError(f"{story.name}: nothing opens call {story.session}")
        wrong = stories.check(story, account, folded.record, folded.closed_by) if exact else []
        if wrong:
            raise TruthError(f"{story.name} of {account.name}, {story.session}: {wrong}")
        return {
            "type": "call",
            "id": folded.record["id"],
            "account": account.name,
            "call_session_id": story.session,
            "story": story.name,
            "closed_by": folded.closed_by,
            "revisions": self._revisions(told, folded),
            "open": folded.open,
            "delivered": True,
            "record": folded.record,
        }

    def _revisions(
        self, told: list[tuple[Request, dict[str, Any]]], folded: fold.Folded
    ) -> list[int]:
        """The fewest and the most revisions: how many facts may come after the call was closed."""
        seen: dict[str, int] = {}
        for request, event in told:
            at = min(request.at_ms, seen.get(event["id"], request.at_ms))
            seen[event["id"]] = at
        arrivals = {event["id"]: event for _, event in told}
        closing = self._closes_at(seen, arrivals)
        late = sum(1 for at in seen.values() if at > closing)
        missing = any(r["state"] == "expected" for r in folded.record.get("recordings", ()))
        return [2 if missing else 1, 1 + late + int(missing)]

    def _closes_at(self, seen: dict[str, int], events: dict[str, dict[str, Any]]) -> float:
        """The earliest sending time after which the call may have been closed."""
        ends = [at for ident, at in seen.items() if events[ident]["kind"] == "call.ended"]
        if ends:
            return min(ends) + 0.5 * self.run.plan.closers.end_grace
        facts = [
            at
            for ident, at in seen.items()
            if not events[ident]["kind"].startswith(("recording.", "note"))
        ]
        return max(facts) + 0.5 * self.run.plan.closers.shortest
