"""The comparison finds what is wrong: each breach is made on purpose, and must be named."""

import argparse
import copy
import json
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent))

import verify  # noqa: E402
from gen import gen, times  # noqa: E402
from gen.traffic import Plan, make  # noqa: E402
from topics import Message, parse  # noqa: E402

START = times.from_iso("2026-03-14T10:00:00Z")


class FakeFollower:
    """A topic that has come to its end."""

    topics: dict = {}

    def __init__(self, _brokers, topic):
        self.messages = self.topics[topic.rpartition(".")[2]]

    def close(self):
        """Nothing is open."""


class World:
    """What a faultless system would leave behind for a run."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.run = make(Plan(seed=11, calls=40, start_at_ms=START))
        gen.write(self.run, self.folder)
        self.answers = [
            {"n": r["n"], "status": r["status"][0]} for r in self.run.request_truth
        ]
        events = {r["event"]["id"]: r["event"] for r in self.run.request_truth if r["expect"] == "event"}
        self.events = list(events.values())
        self.records = [{**copy.deepcopy(c["record"]), "revision": c["revisions"][0]} for c in self.run.call_truth]
        self.dead = [{"reason": "undecodable: x"} for r in self.run.request_truth if r["expect"] == "dead"]
        self.crm = [self.told(r) for r in self.records]

    @staticmethod
    def told(record, what="new"):
        """A row of the CRM's log."""
        ident = f"{record['id']}-{record['revision']}"
        return {"at_ms": START, "id": ident, "status": 200, "what": what, "body": json.dumps(record)}

    def _lines(self, name, rows):
        (self.folder / name).write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
        return str(self.folder / name)

    @staticmethod
    def _topic(rows, key):
        return [Message(0, i, START, key(r).encode(), json.dumps(r).encode()) for i, r in enumerate(rows)]

    def verdict(self):
        """The findings by kind."""
        args = argparse.Namespace(
            truth=str(self.folder / "truth.jsonl"), answers=self._lines("answers.jsonl", self.answers), brokers="",
            prefix="t.", crm_log=self._lines("crm.jsonl", self.crm), archive=None, deadline=0.01, faults=False, quiet=True,
        )
        FakeFollower.topics = {
            "events": self._topic(self.events, lambda r: r["account"]),
            "calls": self._topic(self.records, lambda r: r["id"]),
            "dead": self._topic(self.dead, lambda r: "x"),
        }
        with mock.patch.object(verify, "Follower", FakeFollower):
            verifier = verify.Verifier(args)
            verifier.follow()
            verifier.check()
        return dict(verifier.findings.by_kind)


def lose_record(w):
    """A call without a record."""
    w.records.pop()


def lose_event(w):
    """An accepted event that is in no topic."""
    w.events.pop()


def double_record(w):
    """The same revision twice."""
    w.records.insert(1, w.records[0])


def wrong_field(w):
    """A figure that is off by one."""
    w.records[0]["total_ms"] += 1
    w.crm[0] = w.told(w.records[0])


def wrong_event(w):
    """An event that says something else."""
    w.events[0] = {**w.events[0], "kind": "note"}


def extra_field(w):
    """A field that nobody asked for."""
    w.records[0]["merged_into"] = w.records[1]["id"]
    w.crm[0] = w.told(w.records[0])


def refused(w):
    """An authentic request that was refused."""
    n = next(r["n"] for r in w.run.request_truth if r["expect"] == "event")
    w.answers[n]["status"] = 503


def crm_misses_one(w):
    """The CRM was never told."""
    w.crm.pop()


def crm_older(w):
    """An older revision after a newer one."""
    w.crm.append(w.told(w.records[0], "older"))


def many_revisions(w):
    """More revisions than facts that came late."""
    w.records[0]["revision"] = 99
    w.crm[0] = w.told(w.records[0])


def stranger(w):
    """A call that the truth does not know."""
    w.records.append({**w.records[0], "id": "00000000-0000-5000-8000-000000000000"})


def late(w):
    """An event for a call that had left the table."""
    w.dead.append({"reason": "late"})


def dead_lost(w):
    """An undecodable request that is nowhere."""
    w.dead.pop()


class Breaches(unittest.TestCase):
    ROWS = (
        (lose_record, "lost"), (lose_event, "lost"), (double_record, "doubled"), (wrong_field, "wrong"),
        (wrong_event, "wrong"), (extra_field, "wrong"), (refused, "answer"), (crm_misses_one, "lost"),
        (crm_older, "back"), (stranger, "strange"), (late, "late"), (dead_lost, "lost"), (many_revisions, "revisions"),
    )

    def test_faultless(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual({}, World(folder).verdict())

    def test_each_is_found(self):
        for breach, kind in self.ROWS:
            with self.subTest(breach.__doc__), tempfile.TemporaryDirectory() as folder:
                world = World(folder)
                breach(world)
                self.assertIn(kind, world.verdict())


class Reading(unittest.TestCase):
    def test_kcat_output(self):
        import io

        stream = io.BytesIO(b"0 7 123 2 5\nabx\ny\nz\n1 8 124 1 -1\nk\n")
        self.assertEqual(
            [Message(0, 7, 123, b"ab", b"x\ny\nz"), Message(1, 8, 124, b"k", None)], list(parse(stream))
        )


if __name__ == "__main__":
    unittest.main()
