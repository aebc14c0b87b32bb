"""The json and caption members of a foreign sample as columns that can be stored, and notes on changes made for that."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline import storage
from pipeline.errors import DataError
from pipeline.shards.foreign_samples import SampleClip

_CAPTIONS = ("txt", "caption")  # text members that travel along in `extra`
_LONGEST = 2**24  # bytes of a text member
_DEEPEST = 100  # levels of a json member
_IDS = ("videoid", "video_id", "url")


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleTexts:
    """Texts of a sample's json and caption."""

    extra: Mapping[str, Any]  # JSON types; text is UTF-8, numbers are finite
    notes: tuple[str, ...] = ()  # what was changed

    @property
    def source_id(self) -> str | None:
        """The id of the source video: `videoid`, `video_id` or `url`; None where the sample names none."""
        return next((as_text(self.extra[name]) for name in _IDS if self.extra.get(name)), None)

    @property
    def license(self) -> str | None:
        """The licence as text; what is no text is kept as its JSON."""
        found = self.extra.get("license")
        return as_text(found) if found else None


def read_texts(uri: str, clip: SampleClip, where: str) -> SampleTexts:
    """Read the json and caption members of a clip.

    Raises: DataError, naming `where`, if the json member is not valid, too deep or too large; StorageError.
    """
    extra: dict[str, Any] = {}
    changes: list[str] = []
    for member in clip.members:
        suffix = member.name.removeprefix(clip.prefix)
        if suffix not in ("json", *_CAPTIONS) or clip.text(suffix) != member:
            continue
        if member.length > _LONGEST:
            raise DataError(f"{where}: its {member.name} member has {member.length} bytes, at most {_LONGEST} are read; drop the sample")
        data = storage.read_range(uri, member.offset, member.length)
        if suffix == "json":
            document = _parsed(data, where, changes)
            extra.update(document if isinstance(document, dict) else {"json": document})
        else:
            extra["caption"] = _caption(data, member.name, changes)
    for name in ("license", *_IDS):
        if extra.get(name) and not isinstance(extra[name], str | int):
            changes.append(f"{name} is no text: its JSON counts as the text")
    return SampleTexts(extra=extra, notes=tuple(dict.fromkeys(changes)))


def as_text(value: Any) -> str:
    """Text as it is, a number in digits, a list or object as its JSON."""
    return (
        value
        if isinstance(value, str)
        else json.dumps(value, sort_keys=True, ensure_ascii=False)
        if isinstance(value, dict | list)
        else str(value)
    )


def _parsed(data: bytes, where: str, changes: list[str]) -> Any:
    try:
        document = json.loads(data)
    except RecursionError as error:
        raise DataError(f"{where}: its json member is nested too deeply; flatten it or drop the sample") from error
    except ValueError as error:
        raise DataError(f"{where}: its json member is not valid JSON in UTF-8 ({error}); mend it or drop the sample") from error
    return _storable(document, where, changes)


def _storable(value: Any, where: str, changes: list[str], depth: int = 0) -> Any:
    """The value without parts that JSON in UTF-8 cannot hold."""
    if depth > _DEEPEST:
        raise DataError(f"{where}: its json member is nested more than {_DEEPEST} levels deep; flatten it or drop the sample")
    if isinstance(value, dict):
        return {_text(name, changes): _storable(each, where, changes, depth + 1) for name, each in value.items()}
    if isinstance(value, list):
        return [_storable(each, where, changes, depth + 1) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        changes.append("json: NaN or infinity became null")
        return None
    return _text(value, changes) if isinstance(value, str) else value


def _text(text: str, changes: list[str]) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        changes.append("json: halves of surrogate pairs became U+FFFD")
        return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)
    return text


def _caption(data: bytes, name: str, changes: list[str]) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        changes.append(f"{name}: not UTF-8, the bytes that are not became U+FFFD")
        return data.decode(errors="replace")
