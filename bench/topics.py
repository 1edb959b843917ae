"""Reads topics as any other consumer would: through kcat, read-committed."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_FORMAT = "%p %o %T %K %S\n%k%s\n"


@dataclass(frozen=True)
class Message:
    """One message; value is None for a tombstone."""

    partition: int
    offset: int
    time_ms: int
    key: bytes
    value: bytes | None


def command(brokers: str, topic: str, to_end: bool, committed: bool = True) -> list[str]:
    """The kcat call that prints every message of a topic from its beginning."""
    level = "read_committed" if committed else "read_uncommitted"
    words = ["kcat", "-C", "-q", "-u", "-b", brokers, "-t", topic, "-o", "beginning", "-f", _FORMAT]
    words += ["-X", f"isolation.level={level}", "-X", "topic.metadata.refresh.interval.ms=500"]
    words += ["-X", "fetch.message.max.bytes=8388608", "-X", "check.crcs=true"]
    return words + (["-e"] if to_end else [])


def parse(stream: BinaryIO) -> Iterator[Message]:
    """The messages in kcat's output; ends with the stream."""
    while True:
        head = stream.readline()
        if not head:
            return
        partition, offset, time_ms, key_n, value_n = (int(word) for word in head.split())
        key = stream.read(max(0, key_n))
        value = stream.read(max(0, value_n))
        stream.read(1)
        yield Message(partition, offset, time_ms, key, value if value_n >= 0 else None)


def read_all(brokers: str, topic: str, committed: bool = True, timeout_s: float = 60) -> list[Message]:
    """Everything that the topic holds now."""
    words = command(brokers, topic, True, committed)
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    watchdog = threading.Timer(timeout_s, process.kill)
    watchdog.start()
    try:
        found = list(parse(process.stdout))  # type: ignore[arg-type]
        if process.wait() != 0:
            raise RuntimeError(f"kcat could not read {topic}")
        return found
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]


class Follower:
    """A topic as it grows; `messages` only ever gets longer."""

    def __init__(self, brokers: str, topic: str) -> None:
        self.topic = topic
        self.messages: list[Message] = []
        words = command(brokers, topic, False)
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for message in parse(self._process.stdout):  # type: ignore[arg-type]
            self.messages.append(message)

    def close(self) -> None:
        """Ends the reading."""
        self._process.kill()
        self._process.wait()
        self._thread.join(5)
        self._process.stdout.close()  # type: ignore[union-attr]

    def __enter__(self) -> "Follower":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
