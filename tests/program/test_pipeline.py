"""The whole path on a real broker while its parts die."""

from __future__ import annotations

import os
import random
import tempfile
import time
import unittest
from pathlib import Path

from lib_cs import Broker, Office, until
from test_end_to_end import start

LONG = bool(os.environ.get("CALLSTREAM_LONG"))
_SENDER = ("--retry-503", "--retry-lost", "--timeout", "5")


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
