#!/usr/bin/env python3
"""Writes seeded CallGear traffic with its truth beside it.

The traffic file has one request per line in sending order; the truth file says for every request
what must be answered and which event it is, and for every call the record that must come out.
Bodies carry simulated times that end at --start-at plus the sending offset; sending is compressed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from gen import times  # noqa: E402
from gen.accounts import Closers  # noqa: E402
from gen.disturb import Shares  # noqa: E402
from gen.traffic import Plan, Run, make  # noqa: E402


def share(text: str) -> float:
    """``5%`` or ``0.05``."""
    value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text}: a share lies between 0 and 100%")
    return value


def parser() -> argparse.ArgumentParser:
    """The command line."""
    cli = argparse.ArgumentParser(prog="gen.py", description=__doc__)
    cli.add_argument("--out", required=True, help="folder for traffic.jsonl, truth.jsonl, accounts.yaml")
    cli.add_argument("--seed", type=int, default=1)
    cli.add_argument("--calls", type=int, default=2000)
    cli.add_argument("--accounts", type=int, default=5, help="1..50, layouts in turn (default 5)")
    cli.add_argument("--rate", type=float, default=800.0, help="requests per second (default 800)")
    cli.add_argument("--repeat", type=share, default=0.05, help="requests sent twice (5%%)")
    cli.add_argument("--disorder", type=share, default=0.05, help="requests sent too late (5%%)")
    cli.add_argument("--no-end", type=share, default=0.02, help="calls without their end (2%%)")
    cli.add_argument("--bad", type=share, default=0.02, help="extra requests to be refused (2%%)")
    cli.add_argument("--body-bytes-max", type=int, default=1 << 20)
    cli.add_argument("--start-at", default="now", help="ISO time of the first request, or 'now'")
    defaults = Closers().to_json()
    for name in Closers.NAMES:
        cli.add_argument(f"--{name.replace('_', '-')}", default=f"{defaults[name]}ms")
    return cli


def main(argv: list[str] | None = None) -> int:
    """Writes the three files; the last line on stdout counts what is in them."""
    args = parser().parse_args(argv)
    start = round(time.time() * 1000) if args.start_at == "now" else times.from_iso(args.start_at)
    plan = Plan(
        seed=args.seed,
        calls=args.calls,
        accounts=max(1, min(50, args.accounts)),
        rate=args.rate,
        start_at_ms=start,
        shares=Shares(args.repeat, args.disorder, args.no_end, args.bad),
        closers=Closers.from_texts({name: getattr(args, name) for name in Closers.NAMES}),
        body_bytes_max=args.body_bytes_max,
    )
    run = make(plan)
    write(run, Path(args.out))
    print(json.dumps({"calls": len(run.call_truth), "requests": len(run.requests)}))
    return 0


def write(run: Run, out: Path) -> None:
    """traffic.jsonl, truth.jsonl and the accounts as config wants them."""
    out.mkdir(parents=True, exist_ok=True)
    lines(out / "traffic.jsonl", (request.to_json() for request in run.requests))
    lines(out / "truth.jsonl", [run.head(), *run.request_truth, *run.call_truth])
    wait = f"{run.plan.closers.recording_wait}ms"
    text = "accounts:\n" + "".join(account.yaml(wait) for account in run.accounts)
    (out / "accounts.yaml").write_text(text, encoding="utf-8")


def lines(path: Path, rows: object) -> None:
    """One JSON object per line."""
    with path.open("w", encoding="utf-8") as file:
        for row in rows:  # type: ignore[attr-defined]
            file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    sys.exit(main())
