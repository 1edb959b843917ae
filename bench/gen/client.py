"""A keep-alive HTTP/1.1 client that sends prepared bytes; small enough to pass 3,000/s a core."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

_MAX_ANSWER = 1 << 20


@dataclass
class Answer:
    """What came back; status 0 means that no answer came."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: str = ""


class Lost(Exception):
    """The connection ended before the answer was whole."""


class _Wire(asyncio.Protocol):
    """One connection; at most one request is under way."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.buffer = bytearray()
        self.waiter: asyncio.Future[Answer] | None = None
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        try:
            answer, used = parse_answer(self.buffer)
        except ValueError as error:
            self._fail(str(error))
            return
        if answer is None:
            if len(self.buffer) > _MAX_ANSWER:
                self._fail("answer too large")
            return
        del self.buffer[:used]
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        if self.waiter and not self.waiter.done():
            self.waiter.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(str(exc) if exc else "closed without answer")

    def _fail(self, why: str) -> None:
        if self.waiter and not self.waiter.done():
            self.waiter.set_exception(Lost(why))
        self.close()

    def close(self) -> None:
        """No further request on this connection."""
        self.closed = True
        if self.transport:
            self.transport.close()


def parse_answer(data: bytes | bytearray) -> tuple[Answer | None, int]:
    """The first whole answer in the buffer and its length; (None, 0) while it is incomplete."""
    head_end = data.find(b"\r\n\r\n")
    if head_end < 0:
        return None, 0
    first, *rest = bytes(data[:head_end]).decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
        raise ValueError(f"no HTTP answer: {first[:60]!r}")
    headers = {}
    for line in rest:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    start = head_end + 4
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body, used = _chunks(data, start)
        if body is None:
            return None, 0
        return Answer(int(words[1]), headers, body), used
    end = start + int(headers.get("content-length", 0))
    if len(data) < end:
        return None, 0
    return Answer(int(words[1]), headers, bytes(data[start:end])), end


def _chunks(data: bytes | bytearray, at: int) -> tuple[bytes | None, int]:
    body = b""
    while True:
        line_end = data.find(b"\r\n", at)
        if line_end < 0:
            return None, 0
        size = int(bytes(data[at:line_end]).split(b";")[0], 16)
        at = line_end + 2
        if len(data) < at + size + 2:
            return None, 0
        body += data[at : at + size]
        at += size + 2
        if size == 0:
            return body, at


class Connection:
    """Sends one request after the other, opening the connection again when it was lost."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self.host = host
        self.port = port
        self.timeout_s = timeout_s
        self._wire: _Wire | None = None

    async def exchange(self, data: bytes) -> Answer:
        """Sends the bytes of one request; never raises for what the server does."""
        try:
            async with asyncio.timeout(self.timeout_s):
                wire = await self._open()
                loop = asyncio.get_running_loop()
                wire.waiter = loop.create_future()
                assert wire.transport
                wire.transport.write(data)
                return await wire.waiter
        except TimeoutError:
            self.close()
            return Answer(0, error="timeout")
        except (Lost, OSError) as error:
            self.close()
            return Answer(0, error=str(error) or type(error).__name__)

    async def _open(self) -> _Wire:
        if self._wire is None or self._wire.closed:
            loop = asyncio.get_running_loop()
            _, self._wire = await loop.create_connection(_Wire, self.host, self.port)
        return self._wire

    def close(self) -> None:
        """Ends the connection."""
        if self._wire:
            self._wire.close()
        self._wire = None
