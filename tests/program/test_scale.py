"""Correlators and delivers come and go under load, again and again: one owner of a partition at any time."""

from __future__ import annotations

import json
import os
import re
import time
import unittest
from collections import defaultdict

from lib_cs import Office, until

import topics  # lib_cs puts bench/ on the path

LONG = bool(os.environ.get("CALLSTREAM_LONG"))
SECONDS = 300 if LONG else 45
RATE = 120
PARTITIONS = 5
_SENDER = ("--retry-503", "--retry-lost", "--timeout", "5")


def check_journal(office: Office) -> int:
    """Each partition's commits are numbered one by one: two owners at a time would repeat or leave out
    numbers. How many there are."""
    numbers: dict[int, list[int]] = defaultdict(list)
    for message in topics.read_all(office.brokers, office.prefix + "state"):
        if message.key.startswith(b"j/"):
            numbers[message.partition].append(int(message.key[2:]))
    for partition, found in numbers.items():
        wanted = [n % 16384 for n in range(1, len(found) + 1)]
        assert found == wanted, f"partition {partition}: {[p for p in zip(found, wanted) if p[0] != p[1]][:5]}"
    assert len(numbers) == PARTITIONS, sorted(numbers)
    return sum(map(len, numbers.values()))


def check_tasks(office: Office) -> None:
    """Each record became one task for each sink: two owners at a time would make it twice."""
    tasks = [json.loads(m.value or b"") for m in topics.read_all(office.brokers, office.prefix + "tasks")]
    told = [(task["sink"], task["call"], task["revision"]) for task in tasks]
    assert len(told) == len(set(told)), f"{len(told) - len(set(told))} tasks twice"


class Scale(unittest.TestCase):
    """From one to three and back every few seconds."""

    seconds_max = 900

    def test_one_three_one(self) -> None:
        with Office(partitions=PARTITIONS) as office:
            office.generate(int(SECONDS * RATE / 7), rate=RATE)
            office.write_config()
            office.crm("--errors", "0.02", "--losses", "0.01")
            for role in ("ingest", "correlate", "deliver"):
                office.role(role)
            office.ready("ingest", "correlate", "deliver")
            sender = office.send(*_SENDER, wait=False)
            began = time.monotonic()
            rounds = 0
            while sender.running() and time.monotonic() - began < SECONDS:
                self.one_round(office)
                rounds += 1
            self.assertGreater(rounds, SECONDS // 15)
            until("the sender's end", 240, lambda: not sender.running())
            report = office.verify(deadline=120, faults=True)
            self.assertGreater(report["records"], 100)
            self.assertGreater(check_journal(office), rounds * PARTITIONS)
            check_tasks(office)
            for name, process in office.processes.items():
                self.assertNotRegex(process.log.read_text(), r"level=error", name)
            for role in ("correlate", "deliver"):
                self.assertEqual(0, office.processes[role].stop(), role)

    def one_round(self, office: Office) -> None:
        """Up to three, and when the newcomers have partitions back to one."""
        names = [f"{role}-{i}" for role in ("correlate", "deliver") for i in (2, 3)]
        for name in names:
            office.role(name.split("-")[0], name)
        office.ready(*names)
        until("partitions for the newcomers", 60, lambda: all(owns(office, name) for name in names[:2]))
        for name in names:
            self.assertEqual(0, office.processes[name].stop(), name)


def owns(office: Office, name: str) -> bool:
    """Has this life of the process ever been given a partition?"""
    _, _, life = office.processes[name].log.read_text().rpartition("msg=starting")
    return bool(re.search(r'"partition taken over"', life))


if __name__ == "__main__":
    unittest.main()
