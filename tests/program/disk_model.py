"""What a disk has after a power cut, from the log of disk_layer.c: what was not synced may be lost or torn.

A file is a number of sectors. A write changes the cache; a sync that succeeded brings the file's dirty
sectors to the plate, one that failed brings some, and the others count as written from then on although
they are not. Names reach the plate when their folder is synced. At the cut each dirty sector is what it
was, what it became, or the beginning of the one and the end of the other; a file whose size grew has any
size in between, with zeros where no data came; of the changes of names a first part is there, or any.
"""

from __future__ import annotations

import os
import random
import shutil
import struct
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512
OPS = "none open close write truncate fdatasync fsync rename unlink mkdir fallocate count".split()
_ROW = struct.Struct("<IIiIQII")
_HEAD = 32
_RECORD_HEAD = 40


@dataclass
class File:
    """The bytes of one file, as the program sees them and as the disk has them."""

    cache: bytearray = field(default_factory=bytearray)
    plate: bytearray = field(default_factory=bytearray)
    dirty: set[int] = field(default_factory=set)

    def write(self, offset: int, data: bytes) -> None:
        """Into the cache."""
        self._grow(self.cache, offset + len(data))
        self.cache[offset : offset + len(data)] = data
        self.dirty.update(range(offset // SECTOR, (offset + len(data) - 1) // SECTOR + 1))

    def truncate(self, size: int) -> None:
        """In the cache; zeros where it grows."""
        del self.cache[size:]
        self._grow(self.cache, size)
        self.dirty.add(size // SECTOR)

    def sync(self) -> None:
        """All that is dirty is on the plate."""
        for sector in self.dirty:
            self._bring(sector, SECTOR)
        self.dirty.clear()
        self._resize_plate(len(self.cache))

    def sync_failed(self, draw: random.Random) -> None:
        """Some of it is; of the rest nobody will ever try again."""
        for sector in self.dirty:
            if draw.random() < 0.5:
                self._bring(sector, SECTOR)
        self.dirty.clear()

    def cut(self, draw: random.Random) -> int:
        """The power goes; the number of sectors that are not what they became."""
        size, lost = len(self.plate), 0
        if len(self.cache) != size and draw.random() < 0.7:
            size = draw.randint(min(size, len(self.cache)), max(size, len(self.cache)))
        for sector in sorted(self.dirty):
            part = draw.choice([0, 0, SECTOR, SECTOR, draw.randrange(SECTOR)])
            self._bring(sector, part)
            lost += part < SECTOR
        self._resize_plate(size)
        return lost

    def _bring(self, sector: int, part: int) -> None:
        at = sector * SECTOR
        data = self.cache[at : at + part]
        self._grow(self.plate, at + len(data))
        self.plate[at : at + len(data)] = data

    def _resize_plate(self, size: int) -> None:
        del self.plate[size:]
        self._grow(self.plate, size)

    @staticmethod
    def _grow(image: bytearray, size: int) -> None:
        image.extend(bytes(max(0, size - len(image))))


@dataclass
class Change:
    """A change of names that the plate does not have yet: what is there afterwards."""

    folders: set[str]
    gone: list[str]
    made: list[tuple[str, File | None]]  # None: a folder


class Disk:
    """One folder, from a moment at which all of it was on the plate."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[str, File | None] = {str(folder): None}
        for path in sorted(folder.rglob("*")):
            data = None if path.is_dir() else bytearray(path.read_bytes())
            self.names[str(path)] = None if data is None else File(bytearray(data), data)
        self.plate_names = dict(self.names)
        self.changes: list[Change] = []
        self.open: dict[int, str | File] = {}  # a folder by its name
        self.seen: dict[str, int] = {}
        self.deaf = False  # syncs do nothing: to see that a test would notice

    # --- what happened ---

    def replay(self, log: Path, draw: random.Random) -> None:
        """All rows of a log."""
        data, at = log.read_bytes(), 0
        while at < len(data):
            op, err, fd, flags, offset, text_n, data_n = _ROW.unpack_from(data, at)
            at += _ROW.size
            text = os.path.normpath(os.fsdecode(data[at : at + text_n]))
            more = data[at + text_n : at + text_n + data_n]
            at += text_n + data_n
            name = OPS[op]
            self.seen[name] = self.seen.get(name, 0) + 1
            if name == "open":
                self._opened(fd, flags, text)
            elif name == "close":
                del self.open[fd]
            elif name in ("write", "truncate"):
                file = self.open[fd]
                assert isinstance(file, File)
                file.write(offset, more) if name == "write" else file.truncate(offset)
            elif name in ("fsync", "fdatasync"):
                self._synced(self.open[fd], err, draw)
            else:
                self._named(name, text, os.path.normpath(os.fsdecode(more)))

    def _opened(self, fd: int, flags: int, path: str) -> None:
        if path not in self.names:
            self._change([], [(path, File())])
        file = self.names[path]
        self.open[fd] = path if file is None else file
        if flags & os.O_TRUNC and file is not None:
            file.truncate(0)

    def _synced(self, what: str | File, err: int, draw: random.Random) -> None:
        if self.deaf:
            return
        if isinstance(what, File):
            what.sync_failed(draw) if err else what.sync()
        elif not err:
            for change in self.changes:
                if what in change.folders:
                    self._apply(change)
            self.changes = [c for c in self.changes if what not in c.folders]

    def _named(self, op: str, path: str, to: str) -> None:
        if op == "rename":
            self._change([path], [(to, self.names[path])])
        elif op == "unlink":
            self._change([path], [])
        else:
            self._change([], [(path, None)])

    def _change(self, gone: list[str], made: list[tuple[str, File | None]]) -> None:
        paths = gone + [path for path, _ in made]
        for path in gone:
            del self.names[path]
        self.names.update(made)
        self.changes.append(Change({str(Path(path).parent) for path in paths}, gone, made))

    def _apply(self, change: Change) -> None:
        if any(str(Path(path).parent) not in self.plate_names for path, _ in change.made):
            return  # the folder that it went to is lost
        for path in change.gone:
            self.plate_names.pop(path, None)
        self.plate_names.update(change.made)

    # --- what is left ---

    def differs(self) -> list[str]:
        """Names whose files are not what the log says: the layer has missed something."""
        found = {str(p): None if p.is_dir() else p.read_bytes() for p in [self.folder, *self.folder.rglob("*")]}
        ours = {path: None if file is None else bytes(file.cache) for path, file in self.names.items()}
        return [path for path in found.keys() | ours.keys() if found.get(path, 0) != ours.get(path, 0)]

    def cut(self, draw: random.Random) -> int:
        """The power goes, and the folder is made anew; the number of sectors and names that were lost."""
        count = draw.randint(0, len(self.changes))
        kept = set(range(count))
        if draw.random() < 0.3:
            kept = {i for i in range(len(self.changes)) if draw.random() < 0.5}
        lost = len(self.changes) - len(kept)
        for i in sorted(kept):
            self._apply(self.changes[i])
        for file in self.plate_names.values():
            lost += file.cut(draw) if file else 0
        shutil.rmtree(self.folder)
        for path, file in sorted(self.plate_names.items()):
            if file is None:
                os.mkdir(path, 0o700)
            else:
                Path(path).write_bytes(file.plate)
        return lost

    def torn(self) -> set[str]:
        """Names of segments that are not a number of whole records as they were written."""
        return {
            Path(path).name
            for path, file in self.plate_names.items()
            if file and Path(path).parent == self.folder and path.endswith(".seg") and not is_whole(file)
        }


def records(segment: bytes | bytearray) -> list[tuple[int, int]]:
    """Where each record of an intact segment begins and ends."""
    at, found = _HEAD, []
    while at + _RECORD_HEAD <= len(segment):
        key_n, value_n = struct.unpack_from("<II", segment, at + 12)
        end = at + _RECORD_HEAD + key_n + value_n
        found.append((at, end))
        at = end
    return found


def is_whole(file: File) -> bool:
    """Does the plate have whole records, just as they were written, and nothing else?"""
    n = len(file.plate)
    ends = {0, _HEAD} | {end for _, end in records(file.cache)}
    return n in ends and file.plate == file.cache[:n]
