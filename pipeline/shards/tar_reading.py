"""Members of a tar and their places, from its headers alone, however damaged it is: unreadable ones are listed as such.

Python's tarfile loops for ever over a negative size, ends at the first damaged header, and raises whatever it meets. This walk goes
forward by at least one block at a time, finds its way back to the next sound header, and reads on where tars were joined.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

from pipeline.shards.tar_headers import BLOCK, TarHeader, parse_header, parse_pax, readable_name

_PIECE = 2**20
_LONGEST_EXTENSION = 2**22  # bytes of a PAX header or a GNU long name; a name has thousands at most
_FILES, _LINK, _SYMLINK, _SPARSE = (b"0", b"\0", b"7"), b"1", b"2", b"S"
_WITHOUT_CONTENT = {b"3": "a device", b"4": "a device", b"6": "a pipe", _SYMLINK: "a symbolic link"}
_PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK = (b"x", b"X"), b"g", b"L", b"K"
_PASSED_OVER = (b"5", b"D", b"V")  # folders, GNU's lists of folders, the name of a volume


@dataclass(frozen=True, kw_only=True, slots=True)
class TarMember:
    """One file of a tar: `length` bytes at `offset`, unless `fault` says why they cannot be had."""

    name: str  # as text: see `readable_name`
    offset: int
    length: int
    fault: str | None = None
    cut_short: bool = False  # reaches beyond the end of the tar


@dataclass(frozen=True, kw_only=True, slots=True)
class TarListing:
    """The members of a tar in order, and where it is damaged."""

    members: tuple[TarMember, ...]
    breaks: tuple[str, ...]  # what is wrong, with the place; the members after it are listed where they could be found
    before_break: int  # how many members lie before the first break


def list_members(handle: IO[bytes], length: int) -> TarListing:
    """Walk over the headers of a tar of `length` bytes."""
    walk = _Walk(handle, length)
    while walk.place < length:
        walk.step()
    return TarListing(
        members=tuple(walk.members), breaks=tuple(walk.breaks), before_break=len(walk.members) if walk.before is None else walk.before
    )


class _Walk:
    """Position of the walk, and the extension headers of the member to come."""

    def __init__(self, handle: IO[bytes], length: int) -> None:
        self._handle, self._length = handle, length
        self.place = 0
        self.members: list[TarMember] = []
        self.breaks: list[str] = []
        self.before: int | None = None
        self._files: dict[str, TarMember] = {}  # what a hard link may name
        self._global: Mapping[bytes, bytes] = {}
        self._forget()

    def step(self) -> None:
        """Take in the header at `place`, and go on to the next: always forward."""
        block = self._read(self.place, BLOCK)
        if not block.strip(b"\0"):
            self._pass_zeros()
            return
        header = parse_header(block)
        if header is None:
            what = "the file ends within a header" if len(block) < BLOCK else "no header where one belongs"
            self._break(what, self.place)
            self._forget()
            self._find_header(self.place + BLOCK)
        elif header.kind in (*_PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK):
            self._extension(header)
        else:
            self._member(header)
            self._forget()

    def _forget(self) -> None:
        self._pax: Mapping[bytes, bytes] = {}
        self._long_name: bytes | None = None
        self._long_link: bytes | None = None
        self._extension_fault: str | None = None

    def _extension(self, header: TarHeader) -> None:
        """A header that speaks of the next member, or (global) of all that follow."""
        start = self.place + BLOCK
        size = header.size
        if size is None or size > _LONGEST_EXTENSION or start + size > self._length:
            self._extension_fault = f"its extension header declares {'no valid size' if size is None else f'{size} bytes'}"
            self._break(self._extension_fault, self.place)
            self._find_header(start)
            return
        data = self._read(start, size)
        self.place = start + _padded(size)
        if header.kind in (_LONG_NAME, _LONG_LINK):
            name = data.split(b"\0", 1)[0]
            self._long_name, self._long_link = (name, self._long_link) if header.kind == _LONG_NAME else (self._long_name, name)
            return
        records = parse_pax(data)
        if records is None:
            self._extension_fault = "its PAX header does not parse"
        elif header.kind == _PAX_GLOBAL:
            self._global = {**self._global, **records}
        else:
            self._pax = {**self._pax, **records}

    def _member(self, header: TarHeader) -> None:
        said = {**self._global, **self._pax}
        name = readable_name(said.get(b"GNU.sparse.name") or said.get(b"path") or self._long_name or header.name)
        start, fault = self._start(header), self._extension_fault
        size, declared = self._size(header, said)
        if header.kind == _LINK:
            self.place += BLOCK
            self._add_link(name, said.get(b"linkpath") or self._long_link or header.link, fault)
            return
        if header.kind in _WITHOUT_CONTENT:
            self.place += BLOCK
            self._add(
                TarMember(name=name, offset=start, length=0, fault=f"it is {_WITHOUT_CONTENT[header.kind]}, without content of its own")
            )
            return
        if size is None or start + size > self._length:
            problem = f"{name}: {declared} declared, {self._length - start} follow in the file"
            self._break(problem, self.place)
            self._add(TarMember(name=name, offset=start, length=0, fault=problem, cut_short=True))
            self._find_header(start)
            return
        self.place = start + _padded(size)
        if header.kind in _PASSED_OVER:
            return
        if header.kind == _SPARSE or any(key.startswith(b"GNU.sparse.") for key in said):
            fault = "it is stored sparse, without its holes: unpack the tar and pack it again without --sparse"
        elif header.kind not in _FILES:
            fault = f"it is of a kind that is not read ({header.kind!r})"
        member = TarMember(name=name, offset=start, length=size, fault=fault)
        self._add(member)
        self._files[name] = member

    def _size(self, header: TarHeader, said: Mapping[bytes, bytes]) -> tuple[int | None, str]:
        """Bytes of content as the headers declare them, and in words. The PAX header's word is taken before the block's own."""
        text = said.get(b"size")
        if text is None:
            return header.size, "no valid size" if header.size is None else f"{header.size} bytes"
        if text.isdigit() and len(text) <= 20:
            return int(text), f"{int(text)} bytes"
        return None, f"size {text[:20].decode(errors='replace')!r}"

    def _start(self, header: TarHeader) -> int:
        """Beginning of the content: behind the header, and behind the rest of an old sparse map."""
        start, more = self.place + BLOCK, header.more_sparse
        while more and start < self._length:
            more = self._read(start, BLOCK)[504:505] not in (b"\0", b"")
            start += BLOCK
        return start

    def _add_link(self, name: str, target: bytes, fault: str | None) -> None:
        """A hard link: another name of a member that was there before."""
        found = self._files.get(readable_name(target))
        if found is None:
            text = f"it is a hard link to {readable_name(target)}, which is not in the tar before it"
            self._add(TarMember(name=name, offset=self.place, length=0, fault=text))
            return
        member = TarMember(name=name, offset=found.offset, length=found.length, fault=fault or found.fault, cut_short=found.cut_short)
        self._add(member)
        self._files[name] = member

    def _add(self, member: TarMember) -> None:
        self.members.append(member)

    def _break(self, what: str, place: int) -> None:
        self.before = len(self.members) if self.before is None else self.before
        self.breaks.append(f"{what} (at byte {place})")

    def _pass_zeros(self) -> None:
        """Go on behind an end marker and its padding: another tar may have been joined to this one."""
        self._forget()
        self._global = {}
        while self.place < self._length:
            piece = self._read(self.place, _PIECE)
            rest = piece.lstrip(b"\0")
            if rest:
                self.place += (len(piece) - len(rest)) // BLOCK * BLOCK
                return
            self.place += len(piece) or self._length

    def _find_header(self, start: int) -> None:
        """Go on at the next block that is a header of a tar of today, or at the end."""
        self.place = min(start, self._length)
        while self.place < self._length:
            piece = self._read(self.place, _PIECE)
            for offset in range(0, len(piece), BLOCK):
                block = piece[offset : offset + BLOCK]
                if block[257:262] == b"ustar" and parse_header(block) is not None:
                    self.place += offset
                    return
            self.place += len(piece) or self._length

    def _read(self, place: int, size: int) -> bytes:
        """Bytes of the file; fewer at its end."""
        self._handle.seek(place)
        return self._handle.read(size)


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
