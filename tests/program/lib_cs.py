"""What the program tests share: a scratch folder, a config, roles as processes, traffic, a CRM, a verdict.

Everything a test starts ends with it, also when it fails: use Office as a context manager. Tests wait
for facts under a deadline (until), never for a time.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "bench"
BINARY = Path(os.environ.get("CALLSTREAM_BIN", ROOT / "build" / "dev" / "bin")) / "callstream"
SECRET = "whsec_dGVzdHMgb2YgdGhlIHByb2dyYW0gYWxvbmU="
T = TypeVar("T")

sys.path.insert(0, str(BENCH))


def until(what: str, seconds: float, look: Callable[[], T], pause: float = 0.05) -> T:
    """Repeats look until it returns something true; TimeoutError names what did not come."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {seconds:g} s")
        time.sleep(pause)


def free_port() -> int:
    """A port below the range of outgoing connections that nobody listens on now."""
    for _ in range(200):
        port = random.SystemRandom().randrange(15_000, 30_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port")


def get(url: str, timeout: float = 2.0) -> tuple[int, str]:
    """Status and body; 0 when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


class Process:
    """One process of ours, with its log in a file."""

    def __init__(self, words: list[str], log: Path, env: dict[str, str]) -> None:
        self.words = words
        self.log = log
        with open(log, "ab") as out:
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={**os.environ, **env}
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def signal(self, number: int) -> None:
        """Sends a signal, if it still runs."""
        if self.running():
            self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9, and waits for its end."""
        self.signal(signal.SIGKILL)
        self.process.wait(20)

    def stop(self, seconds: float = 40) -> int:
        """SIGTERM; its exit code. A process that does not end is killed and reported."""
        self.signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise AssertionError(f"did not drain: {self.words}; {self.tail()}") from error

    def tail(self, size: int = 4000) -> str:
        """The end of its log."""
        return self.log.read_bytes()[-size:].decode("utf-8", "replace")


class Broker:
    """A broker of a test's own, which may be stopped and killed."""

    def __init__(self, folder: Path, **properties: str) -> None:
        self.folder = folder
        words = [f"{k.replace('_', '.')}={v}" for k, v in properties.items()]
        self.address = self._run("start", *words)

    def _run(self, command: str, *words: str) -> str:
        done = subprocess.run(
            [str(ROOT / "scripts" / "broker"), command, str(self.folder), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=150,
            env={**os.environ, "KAFKA_HEAP": "384m"},
        )
        if done.returncode != 0:
            raise RuntimeError(f"broker {command}: {done.stderr}")
        return done.stdout.strip()

    def start(self) -> None:
        """Starts it again, on its old port."""
        self._run("start")

    def stop(self) -> None:
        """Ends it in order."""
        self._run("stop")

    def kill(self) -> None:
        """kill -9."""
        self._run("kill")

    def __enter__(self) -> "Broker":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


CONFIG = """
kafka: {{brokers: "{brokers}", topic_prefix: "{prefix}", partitions: {partitions}, replication: 1,
  properties: {{session.timeout.ms: "{session_ms}", heartbeat.interval.ms: "500"}}}}
ingest: {{listen: "127.0.0.1:{ingest_port}", spool_dir: "{folder}/spool", ack: {ack}}}
drain: 15s
correlate: {{workers: {workers}, end_grace: 1s, lost_without_end_after: 3s, talk_without_end_after: 4s,
  silent_call_after: {silent}, recording_wait: 5s, remember_closed: 10m, checkpoint_every: {checkpoint}}}
deliver: {{allow_private_networks: true, retry_first: 200ms, retry_max: 1s, connect_timeout: 2s, timeout: 3s}}
{accounts}
sinks:
  - {{name: crm, kind: webhook, url: "http://127.0.0.1:{crm_port}/calls", secret: "{secret}", send: every, concurrency: 16}}
  - {{name: archive, kind: file, path: "{folder}/calls.jsonl"}}
routes:
{routes}
"""


class Office:
    """A config with its folder and everything started for it."""

    def __init__(self, brokers: str | None = None, **settings: Any) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="callstream-test-"))
        self.keep = bool(os.environ.get("CALLSTREAM_KEEP"))
        self.brokers = brokers or os.environ["CALLSTREAM_BROKERS"]
        self.prefix = f"t{os.getpid()}-{random.SystemRandom().randrange(1 << 30):x}."
        self.settings = {
            "partitions": 4,
            "workers": 1,
            "ack": "auto",
            "silent": "6s",
            "session_ms": 3000,  # a member that was killed is missed after this time
            "checkpoint": "2s",
            **settings,
        }
        self.ports = {"ingest_port": free_port(), "crm_port": free_port()}
        self.admin: dict[str, str] = {}
        self.processes: dict[str, Process] = {}
        self.config = self.folder / "callstream.yaml"
        self.traffic: Path | None = None

    def __enter__(self) -> "Office":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            for name, process in self.processes.items():
                print(f"--- log of {name}\n{process.tail()}", file=sys.stderr)
        for process in self.processes.values():
            process.signal(signal.SIGCONT)
            process.kill()
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- traffic ---

    def generate(self, calls: int, seed: int | None = None, **options: Any) -> Path:
        """Traffic with its truth; the accounts go into the config. The seed is printed."""
        seed = seed or int(os.environ.get("CALLSTREAM_SEED", "0")) or random.randrange(1, 1 << 31)
        print(f"seed {seed}", file=sys.stderr)
        folder = self.folder / f"traffic-{seed}"
        words = [sys.executable, str(BENCH / "gen" / "gen.py"), "--out", str(folder)]
        words += ["--calls", str(calls), "--seed", str(seed)]
        for name, value in options.items():
            words += [f"--{name.replace('_', '-')}", str(value)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, timeout=120)
        self.traffic = folder
        return folder

    def write_config(self, accounts: str | None = None) -> Path:
        """The config of this office; accounts as YAML, by default the generated traffic's."""
        if accounts is None:
            assert self.traffic is not None
            accounts = (self.traffic / "accounts.yaml").read_text(encoding="utf-8")
        names = [line.split()[-1] for line in accounts.splitlines() if "- name:" in line]
        routes = "\n".join(
            f"  - {{account: {name}, direction: [in, out, internal], sinks: [crm, archive]}}" for name in names
        )
        text = CONFIG.format(
            accounts=accounts,
            routes=routes,
            brokers=self.brokers,
            prefix=self.prefix,
            folder=self.folder,
            secret=SECRET,
            **self.ports,
            **self.settings,
        )
        self.config.write_text(text, encoding="utf-8")
        return self.config

    def send(self, *options: str, wait: bool = True, wave: Path | None = None) -> Process:
        """Sends the traffic; the answers are in answers.jsonl. A wave has both in a folder of its own."""
        assert self.traffic is not None
        words = [sys.executable, str(BENCH / "gen" / "send.py"), str((wave or self.traffic) / "traffic.jsonl")]
        words += ["--to", f"http://127.0.0.1:{self.ports['ingest_port']}"]
        words += ["--log", str((wave or self.folder) / "answers.jsonl"), *options]
        process = self._start(wave.name if wave else "sender", words)
        if wait:
            process.process.wait(240)
        return process

    # --- processes ---

    def _start(self, name: str, words: list[str], **env: str) -> Process:
        process = Process(words, self.folder / f"{name}.log", env)
        self.processes[name] = process
        return process

    def role(self, role: str, name: str | None = None, config: Path | None = None, **env: str) -> Process:
        """Starts one role ("": all) as a process of its own; ready() waits for it."""
        name = name or role
        self.admin.setdefault(name, f"127.0.0.1:{free_port()}")
        words = [str(BINARY), "run", *([role] if role else []), "--admin", self.admin[name]]
        return self._start(name, [*words, "--config", str(config or self.config)], **env)

    def ready(self, *names: str, seconds: float = 60) -> None:
        """Waits until each of these answers that it is ready."""
        for name in names:
            process = self.processes[name]
            until(
                f"{name} ready",
                seconds,
                lambda: get(f"http://{self.admin[name]}/readyz")[0] == 200 or not process.running(),
            )
            if not process.running():
                raise AssertionError(f"{name} ended: {process.tail()}")

    def crm(self, *options: str) -> Process:
        """The CRM double at the sink's address."""
        words = [sys.executable, str(BENCH / "crm.py"), "--listen", f"127.0.0.1:{self.ports['crm_port']}"]
        words += ["--log", str(self.folder / "crm.jsonl"), *options]
        process = self._start("crm", words, CRM_SECRET=SECRET)
        until("the CRM", 15, lambda: b":" in process.log.read_bytes())
        return process

    def metric(self, name: str, metric: str) -> float:
        """The sum of a metric's series in one process; 0 when it has none."""
        _, text = get(f"http://{self.admin[name]}/metrics")
        rows = [line for line in text.splitlines() if line.split("{")[0].split(" ")[0] == metric]
        return sum(float(row.rpartition(" ")[2]) for row in rows)

    # --- the verdict ---

    def verify(self, deadline: float = 60, faults: bool = False, crm: bool = True) -> dict[str, Any]:
        """Compares with the truth; AssertionError with the findings when it does not balance."""
        assert self.traffic is not None
        words = [sys.executable, str(BENCH / "verify.py"), "--truth", str(self.traffic / "truth.jsonl")]
        words += ["--answers", str(self.folder / "answers.jsonl"), "--brokers", self.brokers]
        words += ["--prefix", self.prefix, "--deadline", str(deadline), "--json", "--quiet"]
        if crm:
            words += ["--crm-log", str(self.folder / "crm.jsonl"), "--archive", str(self.folder / "calls.jsonl")]
        if faults:
            words.append("--faults")
        done = subprocess.run(words, capture_output=True, text=True, timeout=deadline + 60)
        if done.returncode not in (0, 1) or not done.stdout:
            raise RuntimeError(done.stderr)
        report: dict[str, Any] = json.loads(done.stdout)
        if done.returncode != 0:
            raise AssertionError(f"{done.stderr}\n{ {k: v for k, v in report.items() if k != 'findings'} }")
        return report


def callstream(*words: str, stdin: bytes = b"", timeout: float = 60, **env: str) -> subprocess.CompletedProcess[bytes]:
    """One command of the program."""
    return subprocess.run(
        [str(BINARY), *words],
        input=stdin,
        capture_output=True,
        timeout=timeout,
        env={**os.environ, **env},
    )
