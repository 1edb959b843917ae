"""The Kafka back end of lib/log on a real broker: each scenario of log_probe is a test of its own."""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

from lib_cs import BINARY, Broker

PROBE = BINARY.with_name("log_probe")
REPEAT_TAIL = int(os.environ.get("CALLSTREAM_REPEAT", "1"))


def probe(scenario: str, seconds: float = 180, **env: str) -> str:
    """Runs one scenario; AssertionError with what it said when something was not so."""
    done = subprocess.run(
        [str(PROBE), scenario, f"{random.SystemRandom().randrange(1 << 40):x}"],
        capture_output=True,
        text=True,
        timeout=seconds,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **env},
    )
    if done.returncode != 0:
        raise AssertionError(f"{scenario}: exit {done.returncode}\n{done.stdout}{done.stderr[-6000:]}")
    return done.stdout


class Topics(unittest.TestCase):
    """Made with the contract's settings, refused with others."""

    def test_made_found_and_refused(self) -> None:
        """Missing ones are made; a wrong partition count names the topic."""
        probe("topics")

    def test_made_by_several_at_once(self) -> None:
        """Processes that start together do not get into each other's way."""
        probe("topics-together")

    def test_wrong_policy_is_named(self) -> None:
        """An existing topic with another cleanup policy is an error of the config."""
        probe("policy")


class Transactions(unittest.TestCase):
    """What is committed, hidden, fenced."""

    def test_view_of_readers(self) -> None:
        """Aborted is never seen, open hides what is behind it, the high watermark tells of both."""
        probe("view")

    def test_fencing(self) -> None:
        """A second producer of an id ends the first."""
        probe("fencing")

    def test_pending_offsets_are_waited_for(self) -> None:
        """An offset in an open transaction never looks like none."""
        probe("pending")

    def test_a_wait_for_pending_offsets_ends_when_told_to(self) -> None:
        """A worker whose offsets are in a transaction for a minute ends within seconds."""
        probe("pending-stopped")

    def test_zombie(self) -> None:
        """A process that slept while another took its partitions commits nothing."""
        probe("zombie")


class Groups(unittest.TestCase):
    """Partitions come and go."""

    def test_order_of_hooks(self) -> None:
        """Nothing is open when partitions come; what is open is committed before they go."""
        probe("hooks")

    def test_lag(self) -> None:
        """Unknown until heard, then exact, also for an empty partition."""
        probe("lag")

    def test_pausing(self) -> None:
        """A paused partition stands still and goes on where it was, or where it was moved to."""
        probe("pausing")

    def test_more_workers_than_partitions(self) -> None:
        """Idle workers disturb nobody and take over at once."""
        probe("crowd")

    def test_leaving_while_joining(self) -> None:
        """At any moment of its joining a worker can be told to end."""
        probe("hurry")

    def test_live_tail(self) -> None:
        """100,000 messages while a second worker joins and leaves: each exactly once, in order."""
        for _ in range(REPEAT_TAIL):
            probe("tail")


class Reading(unittest.TestCase):
    """Outside groups, and without a broker."""

    def test_reader(self) -> None:
        """From the beginning, from a time, from the end; the end is told once."""
        probe("reader")

    def test_broker_away(self) -> None:
        """Every call is bounded while there is no broker."""
        probe("away")

    def test_broker_away_for_a_while(self) -> None:
        """The worker ends, a new one goes on: each message exactly once."""
        with tempfile.TemporaryDirectory(prefix="callstream-test-") as folder, Broker(Path(folder) / "broker") as broker:

            def take_away() -> None:
                time.sleep(6)  # somewhere in the 20 s of appending; nothing depends on where
                broker.kill()
                time.sleep(12)
                broker.start()

            thread = threading.Thread(target=take_away)
            thread.start()
            try:
                probe("outage", CALLSTREAM_BROKERS=broker.address)
            finally:
                thread.join()


if __name__ == "__main__":
    unittest.main()
