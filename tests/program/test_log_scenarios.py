"""What a log does: a real broker and the cluster in memory tell the same, line by line."""

from __future__ import annotations

import difflib
import os
import subprocess
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lib_cs import BINARY, Broker

PROGRAM = BINARY.with_name("log_scenarios")
SEEDS = int(os.environ.get("CALLSTREAM_REPEAT", "1")) * 8
# These stop the broker, so nothing else may need it meanwhile.
ALONE = ("away",)


def run(house: str, scenario: str, **env: str) -> list[str]:
    """The lines that one house tells of a scenario; AssertionError when it could not finish."""
    # Players of the cluster in memory end with their process number: their memory is not given back.
    options = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    done = subprocess.run(
        [str(PROGRAM), house, scenario, str(os.getpid())],
        capture_output=True,
        text=True,
        timeout=200,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "ASAN_OPTIONS": options, **env},
    )
    if done.returncode != 0:
        raise AssertionError(f"{scenario} in {house}: exit {done.returncode}\n{done.stdout}{done.stderr[-4000:]}")
    return done.stdout.splitlines()


def scenarios() -> list[str]:
    """All there are."""
    return subprocess.run([str(PROGRAM), "list"], capture_output=True, text=True, check=True).stdout.split()


class Scenarios(unittest.TestCase):
    """The model of the broker is honest."""

    def compare(self, broker: Broker, scenario: str) -> list[str]:
        """What differs."""
        pid = (broker.folder / "pid").read_text().strip()
        real = run("kafka", scenario, CALLSTREAM_BROKERS=broker.address, CALLSTREAM_BROKER_PID=pid)
        return [f"{scenario}: {line}" for line in difflib.unified_diff(real, run("mem", scenario), "kafka", "mem", n=1, lineterm="")]

    def test_broker_and_model_agree(self) -> None:
        """Each scenario on both: the same lines."""
        with tempfile.TemporaryDirectory(prefix="callstream-test-") as folder:
            with Broker(Path(folder) / "broker", log_cleaner_backoff_ms="200") as broker:
                names = scenarios()
                with ThreadPoolExecutor(3) as pool:
                    differing = list(pool.map(lambda s: self.compare(broker, s), [n for n in names if n not in ALONE]))
                differing += [self.compare(broker, n) for n in names if n in ALONE]
        self.assertGreater(len(names), 20)
        self.assertEqual("", "\n".join(line for lines in differing for line in lines))

    def test_model_is_sure_of_its_lines(self) -> None:
        """Whatever chance says of the moments, the lines stay the same."""
        for scenario in scenarios():
            first = run("mem", scenario, MEM_SEED="0")
            for seed in range(1, SEEDS):
                self.assertEqual(first, run("mem", scenario, MEM_SEED=str(seed)), f"{scenario}, MEM_SEED={seed}")


if __name__ == "__main__":
    unittest.main()
