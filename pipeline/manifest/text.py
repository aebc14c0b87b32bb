"""Tables as text: which encoding they are in, and at which character their rows are cut into cells."""

import codecs
import csv
import io
import re
import shlex
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from pipeline import storage
from pipeline.errors import DataError

DELIMITERS = (",", "\t", ";", "|")
_SAMPLE = 1 << 16  # bytes that encoding and delimiter are found in
_SAMPLE_ROWS = 20
_SAMPLE_LINES = 100
_BOMS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NO_TEXT = (
    (b"\x1f\x8b", "compressed by gzip; unpack it first (gunzip)"),
    (b"BZh", "compressed by bzip2; unpack it first (bunzip2)"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd; unpack it first (unzstd)"),
    (b"PK\x03\x04", "a zip or Excel file; unpack it, or save the sheet as CSV in UTF-8"),
    (b"PAR1", "a Parquet table; name it .parquet"),
)
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n")  # Excel's own
SURROGATE = re.compile("[\ud800-\udfff]")
RAW_BYTE = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialect:
    """Delimiter, encoding and first row of a table of delimited text."""

    delimiter: str
    skipped_lines: int = 0  # before the header


def plain(name: str) -> str:
    """A column's name as it is compared with usual ones: in lower case, letters and digits alone."""
    return re.sub(r"[^a-z0-9]+", "", name.lower())


def open_text(handle: IO[bytes], uri: str) -> io.TextIOWrapper:
    """A table's bytes as text, to be detached when done.

    UTF-8, UTF-16 and UTF-32 are known by their byte order mark, UTF-16 also by every second byte being 0; anything else is read
    as UTF-8, of which other bytes travel on as surrogates, so that the row that holds them is reported and the others are read.
    Raises: DataError for a file that is no text.
    """
    sample = handle.read(_SAMPLE)
    handle.seek(0)
    for magic, what in _NO_TEXT:
        if sample.startswith(magic):
            raise DataError(f"{storage.escape_name(uri)}: no text but {what}")
    encoding = next((name for mark, name in _BOMS if sample.startswith(mark)), None) or _unmarked(sample)
    errors = "surrogateescape" if encoding.startswith("utf-8") else "surrogatepass"
    return io.TextIOWrapper(handle, encoding=encoding, errors=errors, newline="")


def _unmarked(sample: bytes) -> str:
    """The encoding of text without a mark. That of its first characters, which are a header's or a brace: ASCII."""
    even, odd = sample[0:32:2], sample[1:32:2]
    if odd and not any(odd) and all(even):
        return "utf-16-le"
    if odd and not any(even) and all(odd):
        return "utf-16-be"
    return "utf-8"


def find_dialect(text: io.TextIOWrapper, default: str, known: Collection[str]) -> Dialect:
    """The delimiter that cuts the header, and rows below it, best; `text` is left at its beginning.

    The one that gives most columns of `known` names; then one that gives several columns, as many in the rows as in the header;
    then the `default`. Delimiters within quotes do not count.
    """
    sample = _beginning(text)
    text.seek(0)
    if named := _SEPARATOR_LINE.match(sample):
        return Dialect(delimiter=named[1], skipped_lines=1)
    order = (default, *(delimiter for delimiter in DELIMITERS if delimiter != default))
    best = max(order, key=lambda delimiter: _fit(sample, delimiter, known))  # of equal ones the first
    return Dialect(delimiter=best)


def _beginning(text: io.TextIOWrapper) -> str:
    lines = []
    try:
        for _ in range(_SAMPLE_LINES):
            lines.append(text.readline(_SAMPLE))
    except UnicodeDecodeError:  # said where the rows are read
        if not lines:
            raise
    return "".join(lines)


def _fit(sample: str, delimiter: str, known: Collection[str]) -> tuple[int, bool, float, int]:
    rows = list(_rows(sample, delimiter))
    if not rows:
        return 0, False, 0.0, 0
    header, body = [name.strip() for name in rows[0]], [row for row in rows[1:-1] or rows[1:] if row]  # the last may be cut off
    agreeing = sum(len(row) == len(header) for row in body) / len(body) if body else 1.0
    return len({name for name in header if name in known or plain(name) in known}), len(header) > 1, agreeing, len(header)


def _rows(sample: str, delimiter: str) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, strict=True)
    for _ in range(_SAMPLE_ROWS):
        try:
            yield next(reader)
        except (StopIteration, csv.Error):
            return


def check_utf8(uri: str, header: Iterable[str]) -> None:
    """Raise DataError, naming a command that mends it, if a header holds what is no Unicode."""
    for name in header:
        if RAW_BYTE.search(name):
            raise DataError(f"{storage.escape_name(uri)}: column {storage.escape_name(name)} is not valid UTF-8; {utf8_remedy(uri)}")
        if SURROGATE.search(name):
            raise DataError(f"{storage.escape_name(uri)}: column {ascii(name)} holds half of a character; correct the header")


def utf8_remedy(uri: str) -> str:
    """The command that makes a Latin-1 table one in UTF-8."""
    path = storage.escape_name(uri)
    new = PurePosixPath(path.rpartition("/")[2])
    quoted = f"iconv -f WINDOWS-1252 -t UTF-8 {shlex.quote(path)} > {shlex.quote(f'{new.stem}.utf8{new.suffix}')}"
    return f"if the table is in Latin-1, {quoted} makes it UTF-8; else save it as UTF-8"
