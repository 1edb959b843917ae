"""`callstream decode` against the independent reader: what one says of a request, the other says too."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import unittest
from collections import Counter
from pathlib import Path
from typing import Any

from lib_cs import BINARY  # puts bench/ on the path

from gen import times  # noqa: E402
from gen.disturb import Shares  # noqa: E402
from gen.gen import write  # noqa: E402
from gen.request import Request  # noqa: E402
from gen.traffic import Plan, Run, make  # noqa: E402

LONG = bool(os.environ.get("CALLSTREAM_LONG"))
REQUESTS = 3000 if LONG else 300
START_AT = times.from_iso("2026-10-25T01:10:00.000Z")  # in the hour that London has twice
# what refuses before the account is known, or in a flood, has no part in decode
HEAD = """kafka: {{brokers: "127.0.0.1:1"}}
ingest: {{body_bytes_max: {body_bytes_max}}}
"""


def traffic(seed: int) -> Run:
    """Enough calls for the requests, with more bad ones than a vendor sends."""
    shares = Shares(bad=0.15)
    return make(Plan(seed=seed, calls=REQUESTS // 5, start_at_ms=START_AT, shares=shares))


class Decode(unittest.TestCase):
    """Every request by itself, as its own process."""

    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="callstream-test-")
        self.addCleanup(self.folder.cleanup)
        self.config = Path(self.folder.name) / "callstream.yaml"

    def test_what_the_reader_says(self) -> None:
        run = traffic(int(os.environ.get("CALLSTREAM_SEED") or 7))
        write(run, Path(self.folder.name))
        accounts = (Path(self.folder.name) / "accounts.yaml").read_text(encoding="utf-8")
        head = HEAD.format(body_bytes_max=run.plan.body_bytes_max)
        self.config.write_text(head + accounts, encoding="utf-8")
        seen: Counter[str] = Counter()
        for request, truth in zip(run.requests[:REQUESTS], run.request_truth):
            self.check(run, request, truth)
            seen[truth["expect"]] += 1
        for what in ("event", "dead", "refused"):
            self.assertGreater(seen[what], 0, what)

    def check(self, run: Run, request: Request, truth: dict[str, Any]) -> None:
        """One request's exit code and its one line."""
        received = times.iso(run.plan.start_at_ms + request.at_ms)
        code, said = self.decode(request, received)
        where = f"request {request.n}: {request.path}?{request.query} {request.body[:2000]!r}"
        if truth["expect"] == "refused":
            self.assertEqual(1, code, where)
            self.assertIn(said["refused"], truth["status"], where)
        elif truth["expect"] == "dead":
            self.assertEqual((1, {"dead": truth["why"]}), (code, said), where)
        else:
            self.assertEqual(0, code, where)
            raw = said.pop("raw")
            self.assertEqual({"at": received, **truth["event"], "received_at": received}, said, where)
            self.assertEqual(request.body.decode(), raw.get("body", ""), where)
            self.assertNotIn("tok0", raw["path"] + raw.get("query", ""), where)

    def decode(self, request: Request, received: str) -> tuple[int, dict[str, Any]]:
        """Runs the command."""
        words = [str(BINARY), "decode", "--config", str(self.config), "--account", request.account]
        words += ["--method", request.method, "--received-at", received]
        words += ["--path", f"{request.path}?{request.query}" if request.query else request.path]
        for name, value in request.headers.items():
            words += ["--header", f"{name}: {value}"]
        done = subprocess.run(words, input=request.body, capture_output=True, timeout=60, check=False)
        self.assertEqual(b"", done.stderr, words)
        return done.returncode, json.loads(done.stdout)


class CommandLine(unittest.TestCase):
    """What the command says and how it ends."""

    CONFIG = """kafka: {brokers: "127.0.0.1:1"}
ingest: {body_bytes_max: 1KiB}
accounts:
  - {name: acme, source: callgear, timezone: UTC, token: s3cret, recordings: never}
  - {name: networks, source: callgear, timezone: UTC, allow_from: ["10.0.0.0/8"], recordings: never}
  - {name: other, source: mango, api_key: k, api_salt: s}
"""
    TALK = b'{"notification_mnemonic":"talk_started","call_session_id":7}'
    # words, body -> exit code, standard output ("" none, None: one event)
    ROWS: tuple[tuple[list[str], bytes, int, str | None], ...] = (
        (["--account", "acme", "--path", "s3cret"], TALK, 0, None),
        (["--account", "acme", "--path", "/a/s3cret/"], TALK, 0, None),
        (["--account", "acme", "--path", "a?token=s3cret"], TALK, 0, None),
        (["--account", "networks"], TALK, 0, None),
        (["--account", "networks", "--json"], TALK, 0, None),
        (["--account", "acme", "--path", "s3cret", "--header", "X: y", "--header", "a:"], TALK, 0, None),
        (
            ["--account", "acme", "--method", "GET", "--path", "s3cret?call_session_id=7"],
            b"",
            0,
            None,
        ),
        (["--account", "acme"], TALK, 1, '{"refused":403,"error":"bad token"}'),
        (["--account", "acme", "--path", "S3cret"], TALK, 1, '{"refused":403,"error":"bad token"}'),
        (["--account", "nobody"], TALK, 1, '{"refused":404,"error":"unknown account"}'),
        (
            ["--account", "acme", "--method", "PUT", "--path", "s3cret"],
            b"x" * 2000,
            1,
            '{"refused":405,"error":"method not allowed"}',
        ),
        (
            ["--account", "acme", "--path", "wrong"],
            b" " * 1025,
            1,
            '{"refused":413,"error":"body too large"}',
        ),
        (["--account", "acme", "--path", "s3cret"], b" " * 1024, 1, '{"dead":"no fields"}'),
        (["--account", "acme", "--path", "s3cret"], b"{", 1, '{"dead":"not JSON"}'),
        (["--account", "other"], TALK, 1, ""),
        ([], TALK, 2, ""),
        (["--account", "acme", "--header", "nonsense"], TALK, 2, ""),
        (["--account", "acme", "--received-at", "yesterday"], TALK, 2, ""),
    )

    def test_rows(self) -> None:
        with tempfile.TemporaryDirectory(prefix="callstream-test-") as folder:
            config = Path(folder) / "callstream.yaml"
            config.write_text(self.CONFIG, encoding="utf-8")
            for words, body, code, out in self.ROWS:
                with self.subTest(words=words, body=body[:60]):
                    self.check([*words, "--config", str(config)], body, code, out)

    def check(self, words: list[str], body: bytes, code: int, out: str | None) -> None:
        """One call of the command."""
        line = [str(BINARY), "decode", *words]
        done = subprocess.run(line, input=body, capture_output=True, timeout=60, check=False)
        said = done.stdout.decode()
        self.assertEqual(code, done.returncode, done.stderr)
        self.assertEqual(out == "", done.stderr != b"", done.stderr)
        if out is None:
            self.assertEqual("7", json.loads(said)["call_session_id"])
        else:
            self.assertEqual(out and out + "\n", said)


if __name__ == "__main__":
    unittest.main()
