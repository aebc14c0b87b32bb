"""One header block of a tar: its fields, and whether it is one. Sizes and names are taken as they stand, however absurd."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

BLOCK = 512
_RECORD = re.compile(rb"(\d{1,20}) ([^=]+)=")
_POSIX = b"ustar\0"


@dataclass(frozen=True, kw_only=True, slots=True)
class TarHeader:
    """The fields of one header block that say what follows it."""

    kind: bytes  # the type flag, one byte
    name: bytes  # with the prefix of a POSIX header
    link: bytes  # target of a link
    size: int | None  # bytes of content; None where the field is no number, or a negative one
    more_sparse: bool  # old GNU sparse member: more blocks of its map follow the header


def parse_header(block: bytes) -> TarHeader | None:
    """The header in a block of 512 bytes; None if the block is none: its checksum is not that of its bytes."""
    if len(block) != BLOCK or not _checksum_fits(block):
        return None
    name, kind = _text(block[:100]), block[156:157]
    prefix = _text(block[345:500]) if block[257:263] == _POSIX else b""  # GNU headers keep other things there
    name = prefix + b"/" + name if prefix else name
    if kind == b"\0" and name.endswith(b"/"):
        kind = b"5"  # how tars of before POSIX write a folder
    return TarHeader(
        kind=kind,
        name=name,
        link=_text(block[157:257]),
        size=parse_number(block[124:136]),
        more_sparse=kind == b"S" and block[482] != 0,
    )


def parse_number(field: bytes) -> int | None:
    """A number of a header: octal digits, or base 256 with the highest bit set. None where it is neither, or negative."""
    if 0x80 <= field[0] < 0xC0:  # the next bit is the sign
        return int.from_bytes(bytes([field[0] & 0x3F]) + field[1:], "big")
    text = _text(field).strip()
    if not re.fullmatch(rb"[0-7]*", text):
        return None
    return int(text or b"0", 8)


def parse_pax(data: bytes) -> Mapping[bytes, bytes] | None:
    """The records `LENGTH KEY=VALUE` of a PAX header; None where they do not parse."""
    found: dict[bytes, bytes] = {}
    place = 0
    while place < len(data) and data[place] != 0:
        match = _RECORD.match(data, place)
        end = place + int(match[1]) if match else 0
        if match is None or not match.end() < end <= len(data) or data[end - 1 : end] != b"\n":
            return None
        found[match[2]] = data[match.end() : end - 1]
        place = end
    return found


def readable_name(name: bytes) -> str:
    """A member's name as text. Where it is not UTF-8, what is not ASCII, and `%`, is written as `%` and two hex digits."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        return "".join(f"%{byte:02X}" if byte >= 0x80 or byte == 0x25 else chr(byte) for byte in name)


def readable_key(key: str) -> str:
    """The same for text that Python's tarfile (and so webdataset) made of a name: a byte that is not UTF-8 is a lone surrogate there."""
    return readable_name(key.encode(errors="surrogateescape")) if _has_escaped_byte(key) else key


def _has_escaped_byte(text: str) -> bool:
    return any("\udc80" <= character <= "\udcff" for character in text) and not any("\ud800" <= each < "\udc80" for each in text)


def _text(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]


def _checksum_fits(block: bytes) -> bool:
    """Whether the sum of all bytes (the checksum's own as spaces) is the one that is written. Old tars add signed bytes."""
    written = parse_number(block[148:156])
    rest = block[:148] + b" " * 8 + block[156:]
    total = sum(rest)
    return written == total or written == total - 256 * sum(byte >= 0x80 for byte in rest)
