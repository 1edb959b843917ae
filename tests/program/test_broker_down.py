"""The broker dies by kill -9 in mid-load, while all roles live: nothing is lost, all goes on by itself."""

from __future__ import annotations

import os
import random
import tempfile
import time
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lib_cs import Broker, Office, Process, get, until

LONG = bool(os.environ.get("CALLSTREAM_LONG"))
ROLES = ("ingest", "correlate", "deliver")
SPOOLED = "callstream_spool_appended_total"
_SENDER = ("--retry-503", "--retry-lost", "--timeout", "10")


@contextmanager
def at_work(calls: int, rate: int) -> Iterator[tuple[Broker, Office, Process]]:
    """A broker of its own, an office on it with all roles, traffic on its way."""
    with tempfile.TemporaryDirectory(prefix="callstream-broker-") as name:
        with Broker(Path(name) / "kafka") as broker, Office(brokers=broker.address, ack="kafka") as office:
            office.generate(calls, rate=rate)
            office.write_config()
            office.crm()
            for role in ROLES:
                office.role(role)
            office.ready(*ROLES)
            yield broker, office, office.send(*_SENDER, wait=False)


def committed(office: Office, name: str, more: int) -> None:
    """Waits until a role has ended so many transactions more."""
    metric = "callstream_transactions_total"
    n = office.metric(name, metric) + more
    until(f"commits of {name}", 60, lambda: office.metric(name, metric) >= n)


class BrokerKilled(unittest.TestCase):
    """kill -9, not a stop in order: what was under way is torn."""

    seconds_max = 900

    def test_all_roles_live_through_it(self) -> None:
        rng = random.Random(os.environ.get("CALLSTREAM_SEED") or None)
        times = 5 if LONG else 2
        with at_work(450 * times, 150) as (broker, office, sender):
            processes = [office.processes[role] for role in ROLES]
            for _ in range(times):
                committed(office, "correlate", 5)
                time.sleep(rng.uniform(0.0, 0.3))  # a random moment, not a wait for something
                broker.kill()
                spooled = office.metric("ingest", SPOOLED)
                until("what is spooled", 60, lambda: office.metric("ingest", SPOOLED) > spooled)
                self.assertTrue(sender.running(), "the load should outlast the broker")
                broker.start()
                office.ready(*ROLES, seconds=90)
            until("the sender's end", 180, lambda: not sender.running())
            office.verify(deadline=120, faults=True)
            self.assertEqual(processes, [office.processes[role] for role in ROLES])
            for process in processes:
                self.assertEqual(0, process.stop())

    def test_while_a_partition_is_taken_over(self) -> None:
        """A correlator dies in the middle of a commit; its successor is asking for the offsets that
        hang in its transaction when the broker dies, too."""
        with at_work(400, 150) as (broker, office, sender):
            for round_n in range(3 if LONG else 1):
                self.assertEqual(0, office.processes["correlate"].stop())
                dying = office.role("correlate", f"dying-{round_n}", CALLSTREAM_FAULT="wire_offsets_pending:10")
                until("its death", 60, lambda: not dying.running())
                taker = office.role("correlate")
                until("its wait", 40, lambda: "asking on" in taker.tail())
                self.assertEqual(503, get(f"http://{office.admin['correlate']}/readyz")[0])
                broker.kill()
                broker.start()
                office.ready(*ROLES, seconds=90)
                self.assertTrue(taker.running())
            until("the sender's end", 180, lambda: not sender.running())
            office.verify(deadline=120, faults=True)


if __name__ == "__main__":
    unittest.main()
