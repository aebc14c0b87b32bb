"""Columns of users' tables by their roles: the preset's names, the flags that win over them, and the names understood without either."""

import logging
from collections.abc import Collection, Mapping, Sequence
from string import Formatter

from pipeline.errors import ConfigError
from pipeline.manifest.inputs import ManifestOptions, flag_of
from pipeline.manifest.presets import PRESETS, Preset
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
_GIVEN_BY_ROW = ("path", "video_id", "clip_id")
_BOUNDS = ("start", "end", "start_frame", "end_frame")


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
        if fitting := _fitting_alias(manifest, free, role, names):
            columns[role] = fitting
    if "path" not in closed and "path" not in {**mapped, **columns} and (address := _fitting_alias(manifest, free, "path", _ADDRESS)):
        columns["path"] = address
    everything = {**mapped, **columns}
    if "start" not in everything or "end" in everything:
        columns.pop("duration", None)
    _check_units(manifest, free, closed | everything.keys())
    _say_spans(manifest, free, everything)
    return columns


def _fitting_alias(manifest: str, free: Sequence[str], role: str, names: Collection[str]) -> str | None:
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


def map_columns(manifest: str, found: tuple[str, ...], *, options: ManifestOptions, repeated: Collection[str] = ()) -> dict[str, str]:
    """Role -> column of one table. A table without a preset is understood by the usual names of columns, too.

    Args:
        repeated: columns whose name stands twice.
    Raises: ConfigError listing what was found, what is wanted and the flag that maps it.
    """
    preset = PRESETS[options.preset or "generic"]
    dropped = _replaced_roles(options)
    usual = {role: name for role, name in preset.columns.items() if role not in dropped}
    columns = {role: name for role, name in usual.items() if name in found}
    if preset.first_column is not None and found:
        columns.setdefault(preset.first_column, found[0])
        _check_header(manifest, found[0], preset)
    columns.update(options.columns)
    if options.preset in (None, "generic"):
        of_preset = {"path"} if "path" not in columns and not options.columns and _fitting(found) else set()  # better told than guessed
        columns |= understood_columns(manifest, found, mapped=columns, flagged=options.columns.keys(), dropped=dropped | of_preset)
    for role in (*preset.required, *options.columns):
        name = columns.get(role, usual.get(role))
        if name is not None and name not in found:
            raise ConfigError(_no_column(manifest, found, name, flag_of(role), options))
    for _, name, _, _ in Formatter().parse(options.path_template or ""):
        if name and name not in found and name not in _GIVEN_BY_ROW:
            raise ConfigError(_no_column(manifest, found, name, "--path-template", options))
    _check_repeated(manifest, repeated, columns, options)
    return columns


def known_columns(options: ManifestOptions) -> frozenset[str]:
    """Names by which a table's delimiter may be told."""
    ours = (name for preset in PRESETS.values() for name in preset.columns.values())
    usual = (name for names in ALIASES.values() for name in names)
    return frozenset([*ours, *usual, *options.columns.values(), "caption"])


def _check_repeated(manifest: str, repeated: Collection[str], columns: Mapping[str, str], options: ManifestOptions) -> None:
    in_template = [name for _, name, _, _ in Formatter().parse(options.path_template or "") if name]
    for name in (*columns.values(), *in_template):
        if name in repeated:
            raise ConfigError(f"{manifest}: two columns are called {name!r}; rename or remove one of them")
    if repeated:
        _LOG.warning("%s: of two columns called %s the first counts", manifest, ", ".join(sorted(repeated)))


def _fitting(found: Collection[str]) -> list[str]:
    """Presets whose table this is, by columns that no other table has."""
    own = {key: {preset.columns[role] for role in preset.required} for key, preset in PRESETS.items() if key != "generic"}
    own["openvid"] = {*own["openvid"], "aesthetic score"}  # a column called video alone says nothing
    return [key for key, columns in own.items() if columns <= set(found)]


def _replaced_roles(options: ManifestOptions) -> set[str]:
    """Roles that the preset need not fill, because a flag says the same in another way."""
    flags, dropped = options.columns.keys(), set()
    if flags & set(_BOUNDS):
        dropped.add("clips")
    if "clips" in flags:
        dropped.update(_BOUNDS)
    if options.path_template is not None:
        dropped.add("path")
    return dropped - flags


def _check_header(manifest: str, first: str, preset: Preset) -> None:
    stem = first.rpartition(".")[0]
    if preset.video_of_file is not None and stem and preset.video_of_file(stem) != stem:
        raise ConfigError(f"{manifest}: its first line names a clip ({first}), not columns; put a header row above it")


def _no_column(manifest: str, found: tuple[str, ...], name: str, flag: str, options: ManifestOptions) -> str:
    columns = set(found)
    fitting = [key for key, preset in PRESETS.items() if {preset.columns[role] for role in preset.required} <= columns]
    hint = f", or choose --preset {' or '.join(fitting)}, whose columns are there" if fitting and not options.columns else ""
    return f"{manifest}: no column {name!r}; found {', '.join(found) or 'none'}; name the right one with {flag}{hint}"
