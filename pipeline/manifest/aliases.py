"""The names that people give to the columns of their own tables, and which of them we take without being told."""

import logging
from collections.abc import Collection, Mapping, Sequence

from pipeline.errors import ConfigError
from pipeline.manifest.options import flag_of
from pipeline.manifest.text import plain

_LOG = logging.getLogger(__name__)

# Role -> names, in lower case and without blanks, underscores and the like: "Start Time", start_time and startTime are one.
ALIASES: Mapping[str, tuple[str, ...]] = {
    "path": ("path", "file", "filename", "filepath", "video", "videopath", "videofilename", "clippath", "relativepath", "uri"),
    "start": ("start", "starts", "startsec", "startsecs", "startsecond", "startseconds", "starttime", "begin", "begintime", "from"),
    "end": ("end", "ends", "endsec", "endsecs", "endsecond", "endseconds", "endtime", "stop", "stoptime", "to"),
    "duration": ("duration", "durations", "durationsec", "durationsecs", "durationsecond", "durationseconds"),
    "start_frame": ("startframe", "framestart", "firstframe", "beginframe"),
    "end_frame": ("endframe", "frameend"),
}
_ADDRESS = ("url", "videourl", "fileurl")  # a file's path only where nothing else is one
_REFUSED = {  # bounds that we would misread: role -> names, and what to do
    "start": (("startms", "startmsec", "starttimems", "beginms"), "write a column of seconds"),
    "end": (("endms", "endmsec", "endtimems", "stopms"), "write a column of seconds"),
    "end_frame": (("lastframe", "stopframe"), "write a column with one past the last frame"),
}
_SPANS = ("clips", "spans", "segments", "timestamp", "timestamps")
_SECONDS, _FRAMES = ("start", "end", "duration"), ("start_frame", "end_frame")


def understood_columns(
    manifest: str, found: Sequence[str], *, mapped: Mapping[str, str], flagged: Collection[str], dropped: Collection[str]
) -> dict[str, str]:
    """Role -> column for roles of a table that no flag maps, by the names above.

    A duration counts where there is a start and no end.
    Args:
        mapped: what is known already, by flags or by our own names.
        flagged: roles mapped by a flag.
        dropped: roles that are not to be filled.
    Raises: ConfigError if two columns may be meant, or a bound is there in a unit that we would misread.
    """
    free = [column for column in found if column not in {mapped[role] for role in flagged if role in mapped}]
    closed = {*flagged, *dropped, *_other_kind(flagged)}
    columns = {}
    for role, names in ALIASES.items():
        if role in closed or (role == "path" and role in mapped):
            continue
        if fitting := _fitting(manifest, free, role, names):
            columns[role] = fitting
    if "path" not in closed and "path" not in {**mapped, **columns} and (address := _fitting(manifest, free, "path", _ADDRESS)):
        columns["path"] = address
    everything = {**mapped, **columns}
    if "start" not in everything or "end" in everything:
        columns.pop("duration", None)
    _check_units(manifest, free, closed | everything.keys())
    _say_spans(manifest, free, everything)
    return columns


def _fitting(manifest: str, free: Sequence[str], role: str, names: Collection[str]) -> str | None:
    found = [column for column in free if plain(column) in names]
    if len(found) > 1 and role == "duration":  # of no use to guess; it is looked at only where there is no end
        return None
    if len(found) > 1:
        raise ConfigError(f"{manifest}: columns {' and '.join(found)} may both be the {role}; say which one with {flag_of(role)}")
    return found[0] if found else None


def _other_kind(flagged: Collection[str]) -> tuple[str, ...]:
    """Bounds that are not looked for because flags give bounds of another kind."""
    if set(flagged) & {*_FRAMES, "clips"}:
        return _SECONDS if not set(flagged) & set(_SECONDS) else ()
    return _FRAMES if set(flagged) & set(_SECONDS) else ()


def _check_units(manifest: str, found: Sequence[str], filled: Collection[str]) -> None:
    for role, (names, remedy) in _REFUSED.items():
        for column in found:
            if role not in filled and plain(column) in names:
                raise ConfigError(
                    f"{manifest}: column {column!r} bounds clips in a way that is not read; {remedy}, and name it with {flag_of(role)}"
                )


def _say_spans(manifest: str, found: Sequence[str], columns: Mapping[str, str]) -> None:
    if {*_SECONDS, *_FRAMES, "clips"} & columns.keys():
        return
    for column in found:
        if plain(column) in _SPANS:
            _LOG.warning("%s: column %r is kept as a text beside the clips; to cut by it: --col-clips %s", manifest, column, column)
