"""The published schemas (docs/schema) against examples, the golden calls and generated traffic.

A schema must take what the programs write and refuse what they must never write, so each has both.
"""

from __future__ import annotations

import copy
import json
import sys
import unittest
from pathlib import Path
from typing import Any

import jsonschema

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = ROOT / "docs" / "schema"
GOLDEN = ROOT / "tests" / "golden" / "record"
REQUESTS = ROOT / "tests" / "golden" / "callgear"
NAMES = ("event", "call", "live", "dead", "task", "delivery")
CALL = "cd24a5f6-94c5-5d3b-8a07-b7bff8a2a32b"

sys.path.insert(0, str(ROOT / "bench"))

from gen import traffic  # noqa: E402

# One of each, with every member that the contract shows.
EXAMPLES: dict[str, Any] = {
    "event": {
        "schema": "callstream.event/1",
        "id": "dcc05207-d224-5e43-8105-6e69f3453ce9",
        "account": "acme-mango",
        "source": "mango",
        "call_session_id": "NzAwMDAwMDAwNDI=",
        "leg_id": "MTo3MDAwMTIzOjMx",
        "kind": "leg.answered",
        "at": "2026-03-14T10:15:02.000Z",
        "received_at": "2026-03-14T10:15:02.412Z",
        "seq": 2,
        "direction": "in",
        "line": "74951234567",
        "trunk": "office-1",
        "contact": {"number": "79161234567"},
        "employee": {"id": "48213", "extension": "101", "name": "Whitfield Dana"},
        "raw": {
            "method": "POST",
            "path": "/events/call",
            "type": "application/x-www-form-urlencoded",
            "body": "...",
        },
    },
    "call": {
        "schema": "callstream.call/1",
        "id": CALL,
        "revision": 1,
        "complete": False,
        "account": "acme-mango",
        "source": "mango",
        "call_session_id": "NzAwMDAwMDAwNDI=",
        "direction": "in",
        "outcome": "answered",
        "cause": {"vendor": "1110", "q850": 16, "text": "The caller hung up", "by": "contact"},
        "line": "74951234567",
        "trunk": "office-1",
        "contact": {"number": "79161234567", "id": "510077", "name": "Harbour Tiles Ltd"},
        "started_at": "2026-03-14T10:14:50.000Z",
        "answered_at": "2026-03-14T10:15:02.000Z",
        "ended_at": "2026-03-14T10:18:05.000Z",
        "wait_ms": 12000,
        "talk_ms": 183000,
        "total_ms": 195000,
        "employee": {"id": "48213", "extension": "101", "name": "Whitfield Dana"},
        "caller": {"extension": "102"},
        "legs": [
            {
                "leg_id": "1",
                "location": "abonent",
                "number": "101",
                "employee": {"id": "48213"},
                "ringing_at": "2026-03-14T10:14:51.000Z",
                "answered_at": "2026-03-14T10:15:02.000Z",
                "ended_at": "2026-03-14T10:18:05.000Z",
                "outcome": "answered",
                "from_leg": "0",
            },
            {"leg_id": "2", "queue": "sales", "outcome": "cancelled"},
        ],
        "transfers": [
            {"at": "2026-03-14T10:16:00.000Z", "transfer": "blind", "from": "101", "to": "102"}
        ],
        "recordings": [
            {
                "id": "r",
                "state": "stored",
                "leg_id": "1",
                "duration_ms": 183000,
                "url": "file:2026/03/14/r.mp3",
                "source_url": "https://vendor.example/r",
                "bytes": 732160,
                "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            }
        ],
        "tags": ["vip"],
        "scenario": "Main",
        "external_id": "crm-1",
        "merged_into": "b6d5ea93-f8a0-5c54-81ee-40d3d92d3c7e",
        "notes": ["no_summary"],
    },
    "live": {
        "schema": "callstream.live/1",
        "id": CALL,
        "seq": 1,
        "account": "acme-mango",
        "source": "mango",
        "call_session_id": "NzAwMDAwMDAwNDI=",
        "state": "ringing",
        "at": "2026-03-14T10:15:02.000Z",
        "received_at": "2026-03-14T10:15:02.412Z",
        "direction": "in",
        "line": "74951234567",
        "trunk": "office-1",
        "contact": {"uri": "sip:visitor@pbx.example"},
        "employee": {"extension": "101"},
        "leg_id": "1",
    },
    "dead": {
        "schema": "callstream.dead/1",
        "reason": "late",
        "account": "acme-mango",
        "id": CALL,
        "call_session_id": "NzAwMDAwMDAwNDI=",
        "sink": "crm",
        "attempts": 3,
        "at": "2026-03-14T10:15:02.000Z",
        "original": {},
    },
    "task": {
        "schema": "callstream.task/1",
        "id": "dcc05207-d224-5e43-8105-6e69f3453ce9",
        "sink": "crm",
        "call": CALL,
        "revision": 1,
        "at": "2026-03-14T10:15:02.000Z",
        "record": {"schema": "callstream.call/1"},
    },
    "delivery": {
        "schema": "callstream.delivery/1",
        "sink": "crm",
        "call": CALL,
        "revision": 1,
        "step": "record",
        "verdict": "retry",
        "attempt": 2,
        "status": 503,
        "ms": 40,
        "at": "2026-03-14T10:15:02.000Z",
        "next_at": "2026-03-14T10:15:04.000Z",
        "task": {"schema": "callstream.task/1"},
    },
}

# Schema, what is done to its example, and why that must be refused.
REFUSED: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("event", {"schema": "callstream.event/2"}, "another schema"),
    ("event", {"kind": "leg.beamed"}, "an unknown kind"),
    ("event", {"id": "7"}, "an id that is no UUID"),
    ("event", {"call_session_id": 7312450098}, "an id that is a number"),
    ("event", {"line": None}, "null instead of absent"),
    ("event", {"contact": {}}, "an empty object instead of absent"),
    ("event", {"contact": {"number": "1", "uri": "sip:a@b"}}, "a number and an address"),
    ("event", {"at": "2026-03-14 10:15:02"}, "a time without zone"),
    ("event", {"digits": "5"}, "a stranger's member on no note"),
    ("event", {"total_ms": 5}, "a member of another kind"),
    ("event", {"cause": {"q850": 0}}, "no Q.850 cause"),
    ("event", {"authenticated": True}, "what is taken for granted"),
    ("event", {"at": None, "received_at": None}, "no time at all"),
    ("call", {"outcome": "missed"}, "an outcome that is none"),
    ("call", {"outcome": "busy"}, "an answer in an unanswered call"),
    ("call", {"wait_ms": -1}, "a negative span"),
    ("call", {"direction": "internal"}, "a contact in an internal call"),
    ("call", {"revision": 0}, "no revision"),
    ("call", {"tags": []}, "an empty list instead of absent"),
    ("call", {"notes": ["fine", "fine"]}, "an unknown note"),
    ("call", {"recordings": [{"state": "available"}]}, "a recording that came without its id"),
    ("call", {"extra": 1}, "a member nobody promised"),
    ("call", {"ended_at": None}, "no end"),
    ("live", {"state": "busy"}, "a state that is none"),
    ("live", {"seq": 0}, "no count"),
    ("dead", {"original": "text"}, "an original that is no object"),
    ("dead", {"reason": ""}, "no reason"),
    ("task", {"live": {"schema": "callstream.live/1"}}, "two things at once"),
    ("task", {"record": None}, "nothing to tell"),
    ("delivery", {"verdict": "maybe"}, "a verdict that is none"),
    ("delivery", {"status": 7}, "a status that is none"),
)


def load(name: str) -> dict[str, Any]:
    """A schema by its name."""
    found: dict[str, Any] = json.loads((SCHEMAS / f"{name}.schema.json").read_text("utf-8"))
    return found


def changed(name: str, changes: dict[str, Any]) -> dict[str, Any]:
    """The example with some members set; None takes one away where it is required, else is null."""
    example = copy.deepcopy(EXAMPLES[name])
    for key, value in changes.items():
        if value is None and key != "line":
            example.pop(key)
        else:
            example[key] = value
    return example


class Schemas(unittest.TestCase):
    """Each schema takes what is right and refuses what is wrong."""

    def setUp(self) -> None:
        self.checks = {n: jsonschema.Draft202012Validator(load(n)) for n in NAMES}

    def assert_valid(self, name: str, value: Any, what: str) -> None:
        """Fails with the first thing that is wrong."""
        error = next(self.checks[name].iter_errors(value), None)
        if error is not None:
            self.fail(f"{what}: {list(error.absolute_path)}: {error.message[:300]}")

    def test_schemas_are_schemas(self) -> None:
        """They hold to their own draft, and none is missing."""
        self.assertEqual(
            sorted(path.name for path in SCHEMAS.glob("*.json")),
            sorted(f"{name}.schema.json" for name in NAMES),
        )
        for name in NAMES:
            jsonschema.Draft202012Validator.check_schema(load(name))

    def test_examples(self) -> None:
        """What the contract shows is valid."""
        for name in NAMES:
            self.assert_valid(name, EXAMPLES[name], name)

    def test_refused(self) -> None:
        """What must never be written is not."""
        for name, changes, why in REFUSED:
            with self.subTest(schema=name, why=why):
                self.assertFalse(self.checks[name].is_valid(changed(name, changes)), why)

    def test_golden_calls(self) -> None:
        """Every golden call: its events and its record."""
        folders = sorted(path for path in GOLDEN.iterdir() if path.is_dir())
        self.assertGreaterEqual(len(folders), 25)
        for folder in folders:
            for line in (folder / "events.jsonl").read_text("utf-8").splitlines():
                self.assert_valid("event", json.loads(line), folder.name)
            record = json.loads((folder / "record.json").read_text("utf-8"))
            self.assert_valid("call", record, folder.name)

    def test_golden_requests(self) -> None:
        """Every golden request that makes an event."""
        paths = sorted(REQUESTS.glob("*/event.json"))
        self.assertGreaterEqual(len(paths), 100)
        for path in paths:
            self.assert_valid("event", json.loads(path.read_text("utf-8")), path.parent.name)

    def test_generated_traffic(self) -> None:
        """What the generator says must come of its traffic."""
        run = traffic.make(traffic.Plan(seed=3, calls=300, start_at_ms=1773483302000))
        events = [row["event"] for row in run.request_truth if "event" in row]
        self.assertGreater(len(events), 1000)
        for event in events:
            self.assert_valid("event", event, event["kind"])
        for call in run.call_truth:
            self.assert_valid("call", {"revision": 1, **call["record"]}, call["story"])


if __name__ == "__main__":
    unittest.main()
