"""The commands that read topics: what they print, what they pass over, how they end."""

from __future__ import annotations

import json
import signal
import subprocess
import unittest
import uuid
from typing import Any

from lib_cs import BINARY, Office, Process, callstream, free_port, until

NAMESPACE = uuid.UUID("d74265c1-8fb4-540d-9e96-c913dfe35a1b")
ACCOUNTS = """accounts:
  - name: acme
    source: callgear
    timezone: Europe/Moscow
    token: "0123456789abcdef0123"
    recordings: never
"""
FOREIGN = ["garbage", "{}", "[]", "null", '{"schema":"other/1"}', '{"schema":5}', '{"schema":"callstream.event/1"}', "\\"]


def call_id(session: str) -> str:
    """The id of a call."""
    return str(uuid.uuid5(NAMESPACE, f"acme\n{session}"))


def record(session: str, revision: int) -> dict[str, Any]:
    """A record, as far as the commands care."""
    return {
        "schema": "callstream.call/1",
        "id": call_id(session),
        "revision": revision,
        "account": "acme",
        "call_session_id": session,
        "direction": "in",
        "outcome": "answered",
        "line": "74951234567",
        "ended_at": "2026-03-14T10:15:02.000Z",
    }


def letter(session: str, sink: str) -> dict[str, Any]:
    """A dead letter."""
    return {
        "schema": "callstream.dead/1",
        "reason": "permanent: http 410",
        "account": "acme",
        "id": call_id(session),
        "sink": sink,
        "attempts": 1,
        "at": "2026-03-14T10:15:02.000Z",
        "original": {},
    }


def lines(output: bytes) -> list[dict[str, Any]]:
    """Every line as JSON; one that is none is an error."""
    return [json.loads(line) for line in output.splitlines()]


class Desk(Office):
    """An office whose topics are there, and filled by the test."""

    def __init__(self) -> None:
        super().__init__()
        self.write_config(ACCOUNTS)

    def make_topics(self) -> None:
        """By a role that starts and ends."""
        self.role("correlate")
        self.ready("correlate")
        self.assert_stops("correlate")

    def assert_stops(self, name: str) -> None:
        """Ends with 0."""
        code = self.processes[name].stop()
        if code != 0:
            raise AssertionError(f"{name} ended with {code}")

    def produce(self, topic: str, rows: list[tuple[str, str]]) -> None:
        """Key and value each."""
        text = "".join(f"{key}\t{value}\n" for key, value in rows)
        words = ["kcat", "-P", "-b", self.brokers, "-t", self.prefix + topic, "-K", "\t"]
        subprocess.run(words, input=text.encode(), check=True, timeout=30)

    def command(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """With the office's config."""
        return callstream(*words, "--config", str(self.config))


class ReadingTest(unittest.TestCase):
    """Topics hold what is ours, and what is not."""

    def test_foreign_messages_are_passed_over(self) -> None:
        """No line that is no record, and none that is no dead letter."""
        with Desk() as desk:
            desk.make_topics()
            desk.produce("calls", [(call_id("1"), text) for text in FOREIGN])
            desk.produce("calls", [(call_id("1"), json.dumps(record("1", n))) for n in (1, 2)])
            desk.produce("dead", [("acme", text) for text in FOREIGN])
            desk.produce("dead", [("acme", json.dumps(letter("1", sink))) for sink in ("crm", "other")])

            shown = desk.command("calls", "show", "acme/1", "--json")
            self.assertEqual(shown.returncode, 0, shown.stderr)
            whole = json.loads(shown.stdout)
            self.assertEqual([r["revision"] for r in whole["revisions"]], [1, 2])
            self.assertEqual(whole["record"], record("1", 2))
            self.assertEqual(whole["deliveries"], [])
            self.assertEqual(desk.command("calls", "show", call_id("1")).returncode, 0)

            listed = desk.command("dead", "list", "--json")
            self.assertEqual({row["sink"] for row in lines(listed.stdout)}, {"crm", "other"})
            one = desk.command("dead", "list", "--json", "--sink", "crm")
            self.assertEqual([row["sink"] for row in lines(one.stdout)], ["crm"])
            self.assertEqual(len(lines(desk.command("dead", "show", "acme/1", "--json").stdout)), 2)
            self.tail(desk)

    def tail(self, desk: Desk) -> None:
        """Until it is told to end; that is 0."""
        words = [str(BINARY), "calls", "tail", "--json", "--since", "1h", "--config", str(desk.config)]
        tail = Process(words, desk.folder / "tail.log", {})
        try:
            until("two records", 30, lambda: tail.log.read_bytes().count(b"\n") >= 2)
            tail.signal(signal.SIGINT)
            self.assertEqual(tail.process.wait(10), 0)
            rows = lines(tail.log.read_bytes())
            self.assertEqual(sorted(row["revision"] for row in rows), [1, 2])
        finally:
            tail.kill()

    def test_what_is_not_there(self) -> None:
        """Exit 1 where nothing is found, 2 for what cannot be meant, 3 before the topics are made."""
        with Desk() as desk:
            self.assertEqual(desk.command("dead", "list").returncode, 3)
            desk.make_topics()
            self.assertEqual(desk.command("dead", "list").returncode, 0)
            self.assertEqual(desk.command("calls", "show", "acme/none").returncode, 1)
            self.assertEqual(desk.command("dead", "show", "acme/none").returncode, 1)
            self.assertEqual(desk.command("calls", "show", "none").returncode, 2)
            self.assertEqual(desk.command("dead", "list", "--since", "soon").returncode, 2)


class UnreachableTest(unittest.TestCase):
    """No broker answers."""

    def start(self, desk: Office, *words: str) -> Process:
        """A command that waits for the broker."""
        process = Process([str(BINARY), *words, "--config", str(desk.config)], desk.folder / f"{words[0]}.log", {})
        until("it tries", 15, lambda: b"kafka client" in process.log.read_bytes())
        return process

    def test_interrupted_while_waiting(self) -> None:
        """At once, not when the wait is over."""
        with Desk() as desk:
            desk.brokers = f"127.0.0.1:{free_port()}"
            desk.write_config(ACCOUNTS)
            for words, code in ((("calls", "tail"), 0), (("dead", "list"), 1)):
                process = self.start(desk, *words)
                process.signal(signal.SIGINT)
                self.assertEqual(process.process.wait(30), code)
                self.assertNotIn("kafka is not reachable", process.tail())

    def test_not_reachable(self) -> None:
        """Exit 3, and nothing on stdout."""
        with Desk() as desk:
            desk.brokers = f"127.0.0.1:{free_port()}"
            desk.write_config(ACCOUNTS)
            done = desk.command("calls", "show", "acme/1", "--json")
            self.assertEqual(done.returncode, 3)
            self.assertEqual(done.stdout, b"")
            self.assertIn(b"kafka is not reachable", done.stderr)


class UsageTest(unittest.TestCase):
    """Wrong usage of `run`."""

    def test_admin_address(self) -> None:
        """Is told before anything starts."""
        done = callstream("run", "--admin", "nonsense", "--config", "/nowhere")
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"--admin nonsense", done.stderr)


if __name__ == "__main__":
    unittest.main()
