"""callstream-bench: every stage runs, small, and says what the contract names. No figure is judged."""

from __future__ import annotations

import json
import subprocess
import unittest
from typing import Any

from lib_cs import BINARY

BENCH = BINARY.with_name("callstream-bench")
KEYS = {"stage", "items", "cpu_us_per_item", "wall_s", "items_per_s", "peak_rss_bytes", "budget_us", "compiler", "commit"}


def run(*words: str, seconds: float = 240) -> subprocess.CompletedProcess[str]:
    """One run of the program."""
    return subprocess.run(
        [str(BENCH), *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds
    )


def measure(stage: str, items: int, *words: str) -> dict[str, Any]:
    """One stage; its object, with the contract's members checked."""
    done = run(stage, "--json", "--items", str(items), *words)
    if done.returncode != 0:
        raise AssertionError(f"{stage}: exit {done.returncode}\n{done.stderr[-4000:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    missing = KEYS - result.keys()
    if missing or result["stage"] != stage or result["items"] != items or not result["wall_s"] > 0:
        raise AssertionError(f"{stage}: {missing or result}")
    return result


class Stages(unittest.TestCase):
    """Small runs of all stages."""

    def test_decode(self) -> None:
        """Every request of the generator becomes an event."""
        result = measure("decode", 5000)
        self.assertEqual(result["events"], 5000)
        self.assertGreater(result["p99_us"], 0)

    def test_core(self) -> None:
        """Calls end and leave records."""
        result = measure("core", 50_000, "--open", "500")
        self.assertGreater(result["records"], 1000)
        self.assertEqual(result["late"], 0)

    def test_memory(self) -> None:
        """All calls are open at the end."""
        result = measure("memory", 20_000)
        self.assertEqual(result["open_calls"], 20_000)
        self.assertGreater(result["bytes_per_item"], 0)

    def test_spool(self) -> None:
        """What was appended comes out again."""
        result = measure("spool", 20_000)
        self.assertEqual(result["drained"], 20_000)

    def test_ingest(self) -> None:
        """Both ways to be durable, and without a broker."""
        for words in (("--ack", "spool"), ("--ack", "kafka"), ("--no-broker",)):
            result = measure("ingest", 5000, *words)
            self.assertEqual(result["refused"], 0, words)
            self.assertGreater(result["p99_ms"], 0)

    def test_correlate(self) -> None:
        """The topic is emptied, and there are records."""
        result = measure("correlate", 20_000, "--open", "200")
        self.assertGreater(result["records"], 100)

    def test_restore(self) -> None:
        """A record comes after the restart, in order and after kill -9."""
        for words in ((), ("--kill",)):
            result = measure("restore", 5000, *words)
            self.assertGreater(result["restore_s"], 0)


class Usage(unittest.TestCase):
    """Exit codes."""

    def test_wrong_usage(self) -> None:
        """2, with a word about it."""
        for words in ((), ("no-such",), ("core", "--no-such"), ("core", "--items"), ("ingest", "--ack", "x")):
            done = run(*words)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn("callstream-bench: ", done.stderr)

    def test_help(self) -> None:
        """Names every stage and both tools."""
        done = run("--help")
        self.assertEqual(done.returncode, 0)
        for word in "decode core correlate ingest spool restore memory gen verify --json".split():
            self.assertIn(word, done.stdout)

    def test_tools(self) -> None:
        """gen and verify are the Python programs."""
        for tool in ("gen", "verify"):
            done = run(tool, "--help")
            self.assertEqual(done.returncode, 0)
            self.assertIn(f"{tool}.py", done.stdout)


if __name__ == "__main__":
    unittest.main()
