"""The generator: the same plan gives the same bytes, and its truth is complete."""

import sys
import unittest
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent))

from gen import accounts, times  # noqa: E402
from gen.callgear import reasons, stories  # noqa: E402
from gen.disturb import Shares  # noqa: E402
from gen.traffic import Plan, make, make_accounts  # noqa: E402

START = times.from_iso("2026-03-14T10:00:00Z")


def plan(**values):
    """A small run."""
    return Plan(**{"seed": 3, "calls": 150, "start_at_ms": START, **values})


class Repeatable(unittest.TestCase):
    def test_same_plan_same_run(self):
        first, second = make(plan()), make(plan())
        self.assertEqual([r.to_json() for r in first.requests], [r.to_json() for r in second.requests])
        self.assertEqual(first.call_truth, second.call_truth)

    def test_other_seeds_do_not_meet(self):
        ids = [{row["id"] for row in make(plan(seed=seed)).call_truth} for seed in (1, 2)]
        self.assertFalse(ids[0] & ids[1])


class Truth(unittest.TestCase):
    def setUp(self):
        self.run_ = make(plan(calls=600))

    def test_every_request_is_expected(self):
        self.assertEqual(len(self.run_.requests), len(self.run_.request_truth))
        kinds = {row["expect"] for row in self.run_.request_truth}
        self.assertEqual({"event", "refused", "dead"}, kinds)

    def test_every_story_is_told(self):
        self.assertEqual(set(stories.STORIES), {row["story"] for row in self.run_.call_truth})

    def test_all_closers_are_met(self):
        closed = {row["closed_by"] for row in self.run_.call_truth}
        self.assertEqual({"end", "lost_without_end", "talk_without_end", "silent_call"}, closed)

    def test_times_of_a_record_are_in_order(self):
        for row in self.run_.call_truth:
            record = row["record"]
            moments = [record[k] for k in ("started_at", "answered_at", "ended_at") if k in record]
            self.assertEqual(sorted(moments), moments, row["id"])
            self.assertLessEqual(record["talk_ms"] + record["wait_ms"], record["total_ms"] + 1000, row["id"])

    def test_nothing_disturbed(self):
        quiet = make(plan(shares=Shares(0, 0, 0, 0)))
        self.assertTrue(all(r["expect"] == "event" and not r["copy"] for r in quiet.request_truth))
        self.assertTrue(all(c["closed_by"] in ("end", "lost_without_end") for c in quiet.call_truth))


class Clocks(unittest.TestCase):
    ROWS = (  # name, text, zone, received or None, wanted
        ("plain", "2026-03-14 13:00:00.250", "Europe/Moscow", None, "2026-03-14T10:00:00.250Z"),
        ("skipped: as if not moved", "2026-03-29 01:30:00", "Europe/London", None, "2026-03-29T01:30:00.000Z"),
        ("twice: the earlier", "2026-10-25 01:30:00", "Europe/London", None, "2026-10-25T00:30:00.000Z"),
        ("its own zone", "2026-03-14T13:00:00.250Z", "Europe/Moscow", None, "2026-03-14T13:00:00.250Z"),
        ("its own offset", "2026-03-14 13:00:00+05:00", "Europe/Moscow", None, "2026-03-14T08:00:00.000Z"),
        ("twice: the nearer", "2026-10-25 01:30:00", "Europe/London", "2026-10-25T01:31:00Z", "2026-10-25T01:30:00.000Z"),
    )

    def test_walls(self):
        for name, text, zone, received, wanted in self.ROWS:
            with self.subTest(name):
                at = times.from_wall(text, zone, times.from_iso(received) if received else None)
                self.assertEqual(wanted, times.iso(at))


class Reasons(unittest.TestCase):
    def test_both_spellings_agree(self):
        for old, new in (("subscriber_busy", "caller_busy"), ("operator_not_responsible", "operator_not_responsive")):
            for direction in ("in", "out"):
                outcomes = {reasons.outcome(w, direction, True, True) for w in (old, new)}
                self.assertEqual(1, len(outcomes))



class DemoConfig(unittest.TestCase):
    def test_has_the_accounts_of_the_generator(self):
        text = (Path(__file__).resolve().parents[1] / "config" / "demo.yaml").read_text(encoding="utf-8")
        config = yaml.safe_load(text)
        wanted = [
            {k: v for k, v in account.to_json().items() if k in ("name", "source", "timezone", "token", "recordings")}
            for account in make_accounts(5)
        ]
        people = {a.name: list(a.employees) for a in make_accounts(5)}
        told = {a["name"]: a.pop("employees", []) for a in config["accounts"]}
        self.assertEqual(wanted, config["accounts"])
        self.assertEqual(people, told)

    def test_has_the_closers_of_the_generator(self):
        config = (Path(__file__).resolve().parents[1] / "config" / "demo.yaml").read_text(encoding="utf-8")
        told = yaml.safe_load(config)["correlate"]
        for name, value in accounts.Closers().to_json().items():
            self.assertEqual(value, times.duration_ms(told[name]), name)


if __name__ == "__main__":
    unittest.main()
