"""Licences under which a video may be passed on. What is not known to allow it is refused; nobody here is a lawyer."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.errors import ConfigError
from pipeline.shards.index import ClipEntry

_SHOWN = 5  # sources in a message
_IN_BRACKETS = re.compile(r"\s*\([^()]*\)\s*$")
_VERSION = r"(-[1-4]\.[0-9]+)?(-[a-z]{2,3})?"  # and of a country: cc-by-3.0-us

# Written as SPDX identifiers and as Hugging Face's names write them, in small letters with hyphens. No licence that forbids changed
# copies (ND): clips are cut, and often encoded anew.
_ALLOWING = tuple(
    re.compile(pattern)
    for pattern in (
        rf"cc-?0{_VERSION}",
        rf"cc-by{_VERSION}",
        rf"cc-by-sa{_VERSION}",
        rf"cc-by-nc{_VERSION}",
        rf"cc-by-nc-sa{_VERSION}",
        rf"creative-commons-attribution(-license)?{_VERSION}",
        r"public-domain|cc-pddc|pddl(-1\.0)?",
        r"odc-by(-1\.0)?|odbl(-1\.0)?",
        r"cdla-(permissive|sharing)-[12]\.0",
        r"apache-2\.0|mit|mit-0|bsd-[23]-clause|unlicense|0bsd|isc",
    )
)


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceLicense:
    """Licence of one source video."""

    source: str
    license: str | None


def normalised(license: str) -> str:
    """A licence's name in small letters with hyphens, without words in brackets at its end: `CC BY-NC 4.0 (x)` is cc-by-nc-4.0."""
    return re.sub(r"[\s_]+", "-", _IN_BRACKETS.sub("", license.strip()).lower())


def allows_redistribution(license: str | None) -> bool:
    """Whether this licence is known to allow that cut and re-encoded videos are passed on, if only for some uses."""
    return license is not None and any(pattern.fullmatch(normalised(license)) for pattern in _ALLOWING)


def is_noncommercial(license: str | None) -> bool:
    """Whether a licence forbids commercial use by its name."""
    return license is not None and bool(re.search(r"(^|-)nc(-|$)|non-?commercial", normalised(license)))


def check_redistribution(entries: Iterable[ClipEntry]) -> None:
    """Raise ConfigError, naming sources, unless the licences of all these clips allow that their videos are passed on."""
    against = {
        entry.source_id: SourceLicense(source=entry.source, license=entry.license)
        for entry in entries
        if entry.record is not None and not allows_redistribution(entry.license)
    }
    if not against:
        return
    shown = [f"{each.source} ({each.license or 'no licence stated'})" for each in list(against.values())[:_SHOWN]]
    more = f" and {len(against) - _SHOWN} more" if len(against) > _SHOWN else ""
    raise ConfigError(
        f"--with-video: the licences of {len(against)} sources are not known to allow that their video is passed on:"
        f" {', '.join(shown)}{more}."
        " Publish the labels alone (receivers join them with their own copies), or keep these sources out with jobs/forget.py or --split"
    )
