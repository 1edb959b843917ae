"""`callstream correlate --stdin` as a command: its lines, its errors, its clock, its config."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import unittest
import uuid
from pathlib import Path
from typing import Any

from lib_cs import BINARY

CONFIG = """kafka: {brokers: "127.0.0.1:1"}
accounts:
- {name: acme, source: callgear, timezone: UTC, token: t1, recordings: always, recording_wait: 10m}
"""


def event(kind: str, second: int, session: str = "7", **more: Any) -> dict[str, Any]:
    """One canonical event, its id made from what it says."""
    row: dict[str, Any] = {
        "schema": "callstream.event/1",
        "account": "office",
        "source": "callgear",
        "call_session_id": session,
        "kind": kind,
        "at": f"2026-03-14T10:15:{second:02d}.000Z",
        **more,
    }
    row["id"] = str(uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(row, sort_keys=True)))
    return row


def lines(*events: dict[str, Any] | str) -> bytes:
    """Events, or text as it is, one a line."""
    texts = (row if isinstance(row, str) else json.dumps(row) for row in events)
    return "".join(text + "\n" for text in texts).encode()


class CorrelateStdin(unittest.TestCase):
    """Each test runs the program a few times; none needs a broker."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="callstream-test-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "callstream.yaml").write_text(CONFIG, encoding="utf-8")

    def run_it(
        self, text: bytes, *args: str, code: int = 0, config: str | None = None
    ) -> tuple[list[dict[str, Any]], str]:
        """The records and what stands on stderr."""
        env = {key: value for key, value in os.environ.items() if key != "CALLSTREAM_CONFIG"}
        if config:
            env["CALLSTREAM_CONFIG"] = config
        done = subprocess.run(
            [BINARY, "correlate", *args],
            input=text,
            capture_output=True,
            timeout=60,
            check=False,
            env=env,
        )
        errors = done.stderr.decode()
        self.assertEqual(done.returncode, code, errors)
        return [json.loads(line) for line in done.stdout.splitlines()], errors

    def test_without_a_config_the_defaults_do(self) -> None:
        """Unknown accounts have default closers; records come in order of their start."""
        records, errors = self.run_it(
            lines(
                event("call.ended", 30, "later"),
                event("call.started", 20, "later"),
                event("call.started", 10, "earlier"),
            ),
            "--stdin",
        )
        self.assertEqual([r["call_session_id"] for r in records], ["earlier", "later"])
        self.assertEqual([r["revision"] for r in records], [1, 1])
        self.assertEqual(records[0]["notes"], ["closed_by_timeout"])
        self.assertNotIn("notes", records[1])
        self.assertEqual(errors, "")

    def test_a_named_config_must_load(self) -> None:
        """By option or by the environment."""
        missing = str(self.folder / "missing.yaml")
        self.run_it(b"", "--stdin", "--config", missing, code=1)
        self.run_it(b"", "--stdin", code=1, config=missing)
        self.run_it(b"", "--stdin", config=str(self.folder / "callstream.yaml"))

    def test_wrong_usage(self) -> None:
        """The role is another command; a time must be one."""
        _, errors = self.run_it(b"", code=2)
        self.assertIn("run correlate", errors)
        self.run_it(b"", "--stdin", "--now", "tomorrow", code=2)
        self.run_it(b"", "--stdin", "--then", code=2)

    def test_a_line_that_is_no_event_is_named_and_the_rest_goes_on(self) -> None:
        """Blank lines are none of them; the last line needs no end."""
        text = lines("", event("call.started", 10), "  \r", '{"schema":', "[]", "nonsense")
        text += json.dumps(event("call.ended", 20)).encode()
        records, errors = self.run_it(text, "--stdin", code=1)
        self.assertEqual(len(records), 1)
        self.assertEqual(records[0]["ended_at"], "2026-03-14T10:15:20.000Z")
        told = errors.splitlines()
        self.assertEqual(len(told), 3, errors)
        for number, line in zip((4, 5, 6), told):
            self.assertRegex(line, rf"^stdin:{number}: offset \d+: \S")

    def test_a_mark_of_byte_order_is_passed_over(self) -> None:
        """Some editors and shells begin a file with one; only there it is one."""
        mark = b"\xef\xbb\xbf"
        begin, end = lines(event("call.started", 10)), lines(event("call.ended", 20))
        records, errors = self.run_it(mark + begin + end, "--stdin")
        self.assertEqual(records[0]["started_at"], "2026-03-14T10:15:10.000Z")
        self.assertEqual(errors, "")
        records, errors = self.run_it(mark + b"\n" + begin + mark + end, "--stdin", code=1)
        self.assertEqual(len(records), 1)
        self.assertRegex(errors, r"^stdin:3: offset 0: \S.*\n$")
        _, errors = self.run_it(mark + b'{"schema":5}\n', "--stdin", code=1)
        self.assertRegex(errors, r"^stdin:1: offset 4: schema is")

    def test_a_line_without_bounds_is_passed_over(self) -> None:
        """It costs memory for 16 MiB, and the next line counts."""
        text = lines(event("call.started", 10), "x" * (40 << 20), event("call.ended", 20))
        records, errors = self.run_it(text, "--stdin", code=1)
        self.assertEqual(records[0]["ended_at"], "2026-03-14T10:15:20.000Z")
        self.assertRegex(errors, r"^stdin:2: offset \d+: the line is too long\n$")

    def test_now_stops_the_clock(self) -> None:
        """A call that is not finished by then has no record yet."""
        text = lines(
            event("call.started", 0, account="acme"),
            event("talk.started", 1, account="acme", leg_ids=["1", "2"]),
            event("call.ended", 20, account="acme"),
        )
        args = ("--stdin", "--config", str(self.folder / "callstream.yaml"), "--now")
        records, _ = self.run_it(text, *args, "2026-03-14T10:15:24.999Z")
        self.assertEqual(records, [])
        records, _ = self.run_it(text, *args, "2026-03-14T10:15:25.000Z")
        self.assertEqual([(r["revision"], r["complete"]) for r in records], [(1, False)])
        records, _ = self.run_it(text, *args, "2026-03-14T11:00:00Z")
        self.assertEqual([(r["revision"], r["complete"]) for r in records], [(2, True)])
        self.assertEqual(records[0]["notes"], ["recording_missing"])

    def test_every_revision_leaves_at_once(self) -> None:
        """The first with the end event, later ones with their facts, the rest at the end."""
        text = lines(
            event("call.started", 0, account="acme"),
            event("call.started", 3, "other"),
            event("talk.started", 1, account="acme", leg_ids=["1", "2"]),
            event("call.ended", 20, account="acme"),
            event("call.ended", 20, account="acme"),
            event("talk.ended", 15, account="acme", leg_ids=["2", "1"]),
        )
        config = str(self.folder / "callstream.yaml")
        records, _ = self.run_it(text, "--stdin", "--every-revision", "--config", config)
        self.assertEqual(
            [(r["call_session_id"], r["revision"], r["complete"]) for r in records],
            [("7", 1, False), ("7", 2, False), ("7", 3, True), ("other", 1, True)],
        )

    def test_what_opens_no_call(self) -> None:
        """Recordings and notes wait for their call; without one they are counted."""
        records, errors = self.run_it(
            lines(
                event("recording.available", 1, recording="r1", source_url="https://x.example/1"),
                event("note", 2, "8", name="dtmf"),
                event("call.ended", 9),
            ),
            "--stdin",
        )
        self.assertEqual([r["call_session_id"] for r in records], ["7"])
        self.assertEqual(records[0]["recordings"][0]["id"], "r1")
        self.assertEqual(errors, "callstream: 1 recordings or notes of no call\n")

    def test_the_limit_of_open_calls(self) -> None:
        """The longest-silent ones are closed; what comes for them later is told."""
        path = self.folder / "limit.yaml"
        path.write_text("correlate: {open_calls_max: 1000}\n", encoding="utf-8")
        rows = []
        for n in range(3000):
            received = f"2026-03-14T10:{n // 60:02d}:{n % 60:02d}Z"
            rows.append(event("call.started", n % 60, str(n), received_at=received))
        rows += [event("call.ended", 59, "0", received_at="2026-03-14T11:59:00Z")]
        records, errors = self.run_it(lines(*rows), "--stdin", "--config", str(path), code=1)
        self.assertEqual(len(records), 3000)
        by_limit = [r for r in records if "closed_by_limit" in r["notes"]]
        self.assertEqual({int(r["call_session_id"]) for r in by_limit}, set(range(len(by_limit))))
        self.assertGreater(len(by_limit), 1000)
        self.assertIn("open_calls_max", errors)


if __name__ == "__main__":
    unittest.main()
