#!/usr/bin/env python3
"""What `callstream demo` runs: generated calls through the roles that are running, and an account of all.

Settings come as one JSON object on standard input (brokers, prefix, ingest, crm, secret, archive, closers), so
that no secret stands on a command line. Exit 0 only when everything is accounted for.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
_ANSWER_SECONDS = 15  # until the CRM double listens
_SETTLE_SECONDS = 60  # beyond the longest time-out
_MOODS = ("--errors", "0.03", "--hangs", "0.004", "--losses", "0.01", "--hang-seconds", "5")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    cli = argparse.ArgumentParser(prog="demo.py", description=__doc__)
    cli.add_argument("--calls", type=int, default=2000)
    cli.add_argument("--seed", type=int, default=0, help="0: a new one each time")
    cli.add_argument("--rate", type=float, default=800.0, help="requests per second")
    cli.add_argument("--json", action="store_true")
    return cli


def run(*words: str) -> int:
    """A program beside this one; its output is ours."""
    return subprocess.run([sys.executable, *words], stdin=subprocess.DEVNULL, check=False).returncode


def generate(folder: Path, args: argparse.Namespace, settings: dict[str, Any]) -> None:
    """Traffic and truth; stops when the generator does not trust itself."""
    words = [str(HERE / "gen" / "gen.py"), "--out", str(folder), "--calls", str(args.calls)]
    words += ["--seed", str(args.seed), "--rate", str(args.rate)]
    words += ["--body-bytes-max", str(settings["body_bytes_max"])]
    for name, value in settings["closers_ms"].items():
        words += [f"--{name.replace('_', '-')}", f"{value}ms"]
    made = subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=False)
    if made.returncode != 0:
        raise SystemExit(made.returncode)


@contextmanager
def crm(folder: Path, settings: dict[str, Any], seed: int) -> Iterator[Path]:
    """A CRM at the sink's address while the block runs; yields its log."""
    log = folder / "crm.jsonl"
    words = [sys.executable, str(HERE / "crm.py"), "--listen", settings["crm"], "--log", str(log)]
    words += ["--seed", str(seed), *_MOODS]
    environment = {**os.environ, "CRM_SECRET": settings["secret"]}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, env=environment)
    watchdog = threading.Timer(_ANSWER_SECONDS, process.kill)
    watchdog.start()
    try:
        if not process.stdout.readline():  # type: ignore[union-attr]
            raise SystemExit(f"demo: the CRM double cannot listen on {settings['crm']}")
        watchdog.cancel()
        yield log
    finally:
        watchdog.cancel()
        process.terminate()
        process.wait(10)


def main() -> int:
    """Generate, send, compare."""
    args = parser().parse_args()
    settings = json.load(sys.stdin)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    args.seed = args.seed or random.SystemRandom().randrange(1, 1 << 31)
    print(f"{args.calls} calls, seed {args.seed}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="callstream-demo-") as name:
        folder = Path(name)
        generate(folder, args, settings)
        with crm(folder, settings, args.seed) as log:
            return send_and_verify(folder, log, args, settings)


def send_and_verify(folder: Path, log: Path, args: argparse.Namespace, settings: dict[str, Any]) -> int:
    """Sends as the vendor does, then waits for what must come."""
    answers = folder / "answers.jsonl"
    sent = subprocess.run(
        [sys.executable, str(HERE / "gen" / "send.py"), str(folder / "traffic.jsonl"), "--to"]
        + [f"http://{settings['ingest']}", "--log", str(answers)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if sent.returncode not in (0, 3):
        return sent.returncode
    longest = max(settings["closers_ms"].values()) / 1000
    words = [str(HERE / "verify.py"), "--truth", str(folder / "truth.jsonl"), "--answers", str(answers)]
    words += ["--brokers", settings["brokers"], "--prefix", settings["prefix"], "--crm-log", str(log)]
    words += ["--deadline", str(2 * longest + _SETTLE_SECONDS)]
    if settings.get("archive"):
        words += ["--archive", settings["archive"]]
    return run(*words, *(["--json"] if args.json else []))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
