"""Which column of a table holds what: the preset's names, and the flags that win over them."""

import logging
from collections.abc import Collection, Mapping
from string import Formatter

from pipeline.errors import ConfigError
from pipeline.manifest.aliases import ALIASES, understood_columns
from pipeline.manifest.options import ManifestOptions, flag_of
from pipeline.manifest.presets import PRESETS, Preset

_LOG = logging.getLogger(__name__)

_GIVEN_BY_ROW = ("path", "video_id", "clip_id")
_BOUNDS = ("start", "end", "start_frame", "end_frame")


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
