"""The whole path on a real broker: webhooks in, records at the CRM, also while its parts die."""

from __future__ import annotations

import os
import random
import tempfile
import time
import unittest
from pathlib import Path

from lib_cs import Broker, Office, until

ROLES = ("ingest", "correlate", "deliver")
LONG = bool(os.environ.get("CALLSTREAM_LONG"))
_SENDER = ("--retry-503", "--retry-lost", "--timeout", "5")


def start(office: Office, *crm: str) -> None:
    """CRM and all roles, ready."""
    office.write_config()
    office.crm(*crm)
    for role in ROLES:
        office.role(role)
    office.ready(*ROLES)


class EndToEnd(unittest.TestCase):
    """Nothing breaks: every field, every count."""

    def test_all_is_accounted_for(self) -> None:
        with Office() as office:
            office.generate(300, rate=400)
            start(office, "--errors", "0.03", "--losses", "0.01")
            office.send()
            report = office.verify()
            self.assertEqual(300, report["records"])
            for role in ROLES:
                self.assertEqual(0, office.processes[role].stop(), role)

    def test_one_process_for_a_small_office(self) -> None:
        with Office() as office:
            office.generate(60, rate=200)
            office.write_config()
            office.crm()
            process = office.role("", "office")
            office.ready("office")
            office.send()
            self.assertEqual(60, office.verify()["records"])
            self.assertEqual(0, process.stop())


class Killed(unittest.TestCase):
    """kill -9 in mid-load, at the live tail."""

    seconds_max = 900

    def kill_in_mid_load(self, role: str, times: int) -> None:
        """One role dies again and again while the traffic goes on."""
        rng = random.Random(os.environ.get("CALLSTREAM_SEED") or None)
        with Office() as office:
            office.generate(700, rate=220)
            start(office)
            sender = office.send(*_SENDER, wait=False)
            for _ in range(times):
                time.sleep(rng.uniform(0.2, 1.2))  # a random moment, not a wait for something
                office.processes[role].kill()
                office.role(role)
                office.ready(role)
            until("the sender's end", 180, lambda: not sender.running())
            office.verify(deadline=120, faults=True)

    def test_ingest(self) -> None:
        self.kill_in_mid_load("ingest", 50 if LONG else 10)

    def test_correlate(self) -> None:
        self.kill_in_mid_load("correlate", 50 if LONG else 10)

    def test_deliver(self) -> None:
        self.kill_in_mid_load("deliver", 50 if LONG else 10)


class BrokerAway(unittest.TestCase):
    """The broker is stopped in mid-load: ingest goes on answering 200, and all of it arrives."""

    seconds_max = 600

    def test_twenty_seconds(self) -> None:
        with tempfile.TemporaryDirectory(prefix="callstream-broker-") as name:
            with Broker(Path(name) / "kafka") as broker, Office(brokers=broker.address, ack="kafka") as office:
                office.generate(600, rate=150)
                start(office)
                sender = office.send("--timeout", "10", wait=False)
                time.sleep(4)
                broker.stop()
                began = time.monotonic()
                time.sleep(20)
                self.assertTrue(sender.running(), "the load should outlast the stop")
                broker.start()
                self.assertGreaterEqual(time.monotonic() - began, 20)
                until("the sender's end", 180, lambda: not sender.running())
                office.verify(deadline=120, faults=True)


if __name__ == "__main__":
    unittest.main()
