"""Requests that two readers may read differently, and what ingest has to say to each: a table."""

from __future__ import annotations

from typing import NamedTuple

from ingest_util import TOKEN, body, request

PATH = f"/hooks/acme/{TOKEN}"
NEXT = request(body("hidden", 1))  # behind a request, or hidden in one
PLAIN = body("row", 1)
BODY_MAX = 1 << 20
HEAD_MAX = 16 << 10
END = "0\r\n\r\n"
KEPT, CLOSED = False, True


class Row(NamedTuple):
    """Bytes of a connection, the answers to them, and whether the server ends it."""

    name: str
    sent: bytes
    answers: tuple[int, ...]
    closed: bool


def post(*headers: str, content: bytes = PLAIN, line: str = f"POST {PATH} HTTP/1.1", length: bool = True) -> bytes:
    """A webhook with more headers; length: with its own right one behind them."""
    own = [f"Content-Length: {len(content)}"] if length else []
    return "\r\n".join([line, "Host: h", *headers, *own, "", ""]).encode("latin-1") + content


def chunked(text: str | bytes, *headers: str) -> bytes:
    """A webhook with these bytes as its body in chunks."""
    content = text.encode("latin-1") if isinstance(text, str) else text
    return post("Transfer-Encoding: chunked", *headers, content=content, length=False)


def chunks(content: bytes = PLAIN, size: int = 7, extension: bytes = b"", trailer: bytes = b"") -> bytes:
    """A body in pieces of that size."""
    pieces = [content[i : i + size] for i in range(0, len(content), size)]
    return b"".join(b"%x%s\r\n%s\r\n" % (len(p), extension, p) for p in pieces) + b"0\r\n" + trailer + b"\r\n"


def refused(name: str, sent: bytes, status: int = 400) -> Row:
    """Refused, and nothing that follows is read as a request."""
    return Row(name, sent + NEXT, (status,), CLOSED)


def taken(name: str, sent: bytes) -> Row:
    """Taken, and what follows is the next request."""
    return Row(name, sent + NEXT, (200, 200), KEPT)


def lengths() -> list[Row]:
    """Where does it end? By length."""
    n = len(PLAIN)
    bad = {
        "two lengths, the second is larger": [f"Content-Length: {n + len(NEXT)}"],
        "two lengths, the second is zero": ["Content-Length: 0"],
        "the same length twice": [f"Content-Length: {n}"],
        "the same length thrice": [f"Content-Length: {n}"] * 2,
    }
    texts = {
        "a list of equal lengths": f"{n}, {n}",
        "a list of lengths": f"{n},0",
        "a sign": f"+{n}",
        "a minus": f"-{n}",
        "hex": f"{n:#x}",
        "an exponent": "1e2",
        "a fraction": f"{n}.0",
        "blanks between digits": "1 0",
        "an empty length": "",
        "a tail": f"{n}x",
        "digits in another script": "\xd9\xa3",
        "a vertical tab": f"\x0b{n}",
        "quotes": f'"{n}"',
    }
    rows = [refused(name, post(*headers)) for name, headers in bad.items()]
    rows += [refused(name, post(f"Content-Length: {text}", length=False)) for name, text in texts.items()]
    rows += [
        taken("blanks around a length", post(f"Content-Length: \t {n} \t", length=False)),
        taken("zeros before a length", post(f"Content-Length: 000{n}", length=False)),
        refused("a length that fits in no number", post(f"Content-Length: {'9' * 40}", length=False), 413),
        refused("a length of 64 bits and one", post(f"Content-Length: {1 << 64}", length=False), 413),
        refused("a blank before the colon", post(f"Content-Length : {n}", length=False)),
        refused("a tab before the colon", post(f"Content-Length\t: {n}", length=False)),
    ]
    return rows


def codings() -> list[Row]:
    """Where does it end? By coding, and by both."""
    whole = chunks()
    texts = {
        "gzip before": "gzip, chunked",
        "identity behind": "chunked, identity",
        "twice in one": "chunked, chunked",
        "identity": "identity",
        "another word": "xchunked",
        "a parameter": "chunked;q=1",
        "quotes": '"chunked"',
        "a vertical tab": "\x0bchunked",
        "a comma": "chunked,",
        "nothing": "",
        "a line break": "\r\n chunked",
        "a bare CR": "\rchunked",
        "letters that look alike": "chun\xc4\xb7ed",
    }
    rows = [
        refused(f"coding: {name}", post(f"Transfer-Encoding: {text}", content=whole, length=False))
        for name, text in texts.items()
    ]
    both = [
        ("length, then chunks", post("Content-Length: 4", "Transfer-Encoding: chunked", content=whole, length=False)),
        ("chunks, then length", post("Transfer-Encoding: chunked", content=whole)),
        ("length, then a coding nobody knows", post("Content-Length: 4", "Transfer-Encoding: x", length=False)),
        ("chunks and an empty length", chunked(whole, "Content-Length:")),
        ("two codings", chunked(whole, "Transfer-Encoding: chunked")),
        ("two codings, one of them dull", chunked(whole, "Transfer-Encoding: identity")),
        ("a blank before the coding's colon", post("Transfer-Encoding : chunked", content=whole, length=False)),
        ("a coding folded behind another header", post("X: 1\r\n Transfer-Encoding: chunked")),
        ("a coding behind a bare LF", post("X: 1\nTransfer-Encoding: chunked")),
        ("a coding behind a bare CR", post("X: 1\rTransfer-Encoding: chunked")),
        ("a coding behind NUL", post("X: 1\0Transfer-Encoding: chunked")),
        ("chunks in 1.0", chunked(whole).replace(b"HTTP/1.1", b"HTTP/1.0", 1)),
    ]
    return (
        rows
        + [refused(*row) for row in both]
        + [
            taken("large letters", post("TRANSFER-ENCODING:CHUNKED", content=whole, length=False)),
            taken("TE is another header", post("TE: chunked")),
            taken("underscores are another header", post("Transfer_Encoding: chunked", "Content_Length: 0")),
            taken("an X before is another header", post("X-Transfer-Encoding: chunked", "X-Content-Length: 0")),
        ]
    )


def heads() -> list[Row]:
    """Lines, names, targets, versions."""
    bare = post()
    lines = {
        "a target without its slash": f"POST {PATH[1:]} HTTP/1.1",
        "an absolute target of another scheme": f"POST ftp://h{PATH} HTTP/1.1",
        "an absolute target without a host": f"POST http://{PATH} HTTP/1.1",
        "an asterisk": "POST * HTTP/1.1",
        "a host and a port": "POST h:443 HTTP/1.1",
        "two blanks": f"POST  {PATH} HTTP/1.1",
        "a tab": f"POST\t{PATH} HTTP/1.1",
        "a blank in the target": f"POST {PATH} x HTTP/1.1",
        "a control character in the target": f"POST {PATH}\x01 HTTP/1.1",
        "a blank at the end": f"POST {PATH} HTTP/1.1 ",
        "a blank before": f" POST {PATH} HTTP/1.1",
        "no version": f"POST {PATH}",
        "0.9": f"POST {PATH} HTTP/0.9",
        "2.0": f"POST {PATH} HTTP/2.0",
        "1.10": f"POST {PATH} HTTP/1.10",
        "small letters": f"POST {PATH} http/1.1",
        "a comma in the method": f"PO,ST {PATH} HTTP/1.1",
    }
    names = ["X Y: 1", ": 1", "nonsense", "X\x7f: 1", "X[y]: 1", "\xd0\xb0: 1", "Host: x"]
    names += ["X: \x1b", "X: \x7f", "X: 1\r\r"]
    rows = [refused(f"first line: {name}", post(line=line)) for name, line in lines.items()]
    rows += [refused(f"header: {name!r}", post(name)) for name in names]
    rows += [
        refused("bare LF everywhere", bare.replace(b"\r\n", b"\n")),
        refused("bare LF as the empty line", bare.replace(b"\r\n\r\n", b"\r\n\n")),
        refused("a bare CR as the empty line", bare.replace(b"\r\n\r\n", b"\r\n\rX: 1\r\n\r\n")),
        refused("folded before the first header", bare.replace(b"\r\n", b"\r\n ", 1)),
        refused("folded by a tab", post("X: 1\r\n\tContent-Length: 0")),
        refused("a bare LF before it", b"\n" + bare),
        refused("a preface of version 2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        refused("TLS where none is spoken", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
        taken("empty lines before it", b"\r\n\r\n" + bare),
        taken("an absolute target", post(line=f"POST http://other:8080{PATH} HTTP/1.1")),
        taken("an absolute target, TLS", post(line=f"POST HTTPS://h{PATH} HTTP/1.1")),
        taken("slashes", post(line=f"POST {PATH.replace('/', '//')} HTTP/1.1")),
        taken("bytes above ASCII in a value", post("X: \xd0\xb0\xff")),
        taken("an upgrade nobody follows", post("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c")),
        taken("an expectation", post("Expect: 100-continue")),
        refused("another expectation", post("Expect: gold"), 417),
        refused("two expectations", post("Expect: 100-continue", "Expect: 100-continue")),
        Row("asked to close", post("Connection: x, close") + NEXT, (200,), CLOSED),
        Row("1.0", post(line=f"POST {PATH} HTTP/1.0") + NEXT, (200,), CLOSED),
    ]
    return rows


def methods() -> list[Row]:
    """Methods that mean nothing here, each with a request in its body."""
    rows = [
        refused(f"{method} with a request as its body", post(line=f"{method} {PATH} HTTP/1.1", content=NEXT), 405)
        for method in ("HEAD", "PUT", "DELETE", "TRACE", "PATCH", "BREW", "post", "Get")
    ]
    return rows + [
        refused("CONNECT", b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        refused("OPTIONS *", b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        Row("GET with a request as its body", post(line=f"GET {PATH} HTTP/1.1", content=NEXT) + NEXT, (200,), CLOSED),
        refused("GET with a request in chunks", chunked(chunks(NEXT)).replace(b"POST ", b"GET /x", 1), 404),
    ]


def bodies() -> list[Row]:
    """Chunks and sizes."""
    bad = {
        "no size": "\r\nabc\r\n",
        "a size that is none": "zz\r\n",
        "a size with a sign": "+3\r\nabc\r\n",
        "a negative size": "-1\r\n",
        "a size as in C": "0x3\r\nabc\r\n",
        "a blank before the size": " 3\r\nabc\r\n",
        "more digits than any size has": "0" * 17 + "\r\n\r\n",
        "bare LF behind the size": "3\nabc\r\n",
        "bare CR behind the size": "3\rabc\r\n",
        "two CR behind the size": "3\r\r\nabc\r\n",
        "bare LF behind the data": "3\r\nabc\n",
        "data longer than said": "3\r\nabcd\r\n",
        "data shorter than said": "5\r\nabc\r\n",
        "bare LF in an extension": "3;a\nabc\r\n",
        "NUL in an extension": "3;\0\r\nabc\r\n",
        "bare LF in a trailer": "0\r\nX: 1\n\r\n",
        "bare LF at the end": "0\r\n\n",
        "an extension without end": "3;" + "x" * 9000,
        "many extensions": "1;xxxxxxx\r\na\r\n" * 1200,
        "trailers without end": "0\r\n" + "X: 1\r\n" * 3000,
    }
    rows = [refused(f"chunks: {name}", chunked(text + END)) for name, text in bad.items()]
    full = body("full", 1, BODY_MAX - len(body("full", 1, 1)) + 1)
    assert len(full) == BODY_MAX
    rows += [
        refused("a chunk that is too large", chunked(f"{BODY_MAX + 1:x}\r\n"), 413),
        refused("a chunk of 64 bits", chunked("f" * 16 + "\r\n"), 413),
        refused("chunks too large together", chunked(f"{BODY_MAX:x}\r\n".encode() + full + b"\r\n1\r\n"), 413),
        taken("chunks as large as they may be", chunked(chunks(full, 65536))),
        taken("chunks of a byte", chunked(chunks(size=1))),
        taken("extensions", chunked(chunks(extension=b' ;a="b;\\""'))),
        taken("trailers", chunked(chunks(trailer=b"X: 1\r\nContent-Length: 9\r\n"))),
        taken("as large as it may be", post(content=full)),
        refused("a byte too large", post(content=full + b" "), 413),
        refused("too large for an account nobody has", post(content=full + b" ", line="POST /hooks/x/y HTTP/1.1"), 404),
    ]
    rest = HEAD_MAX - len(post()) + len(PLAIN)
    rows += [
        taken("a head as large as it may be", post("X: " + "x" * (rest - 5))),
        refused("a head a byte too large", post("X: " + "x" * (rest - 4)), 431),
        taken("three thousand headers", post(*["a:"] * 3000)),
        refused("five thousand headers", post(*["a:"] * 5000), 431),
        Row("a first line without end", b"POST /" + b"x" * HEAD_MAX, (431,), CLOSED),
        Row("a header without end", b"POST / HTTP/1.1\r\nX: " + b"x" * HEAD_MAX, (431,), CLOSED),
    ]
    return rows


def all_rows() -> list[Row]:
    """The table; each name stands once."""
    rows = lengths() + codings() + heads() + methods() + bodies()
    assert len({row.name for row in rows}) == len(rows)
    return rows
