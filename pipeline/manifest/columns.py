"""Which column of a table holds what: the preset's names, and the flags that win over them."""

from string import Formatter

from pipeline.errors import ConfigError
from pipeline.manifest.options import ManifestOptions, flag_of
from pipeline.manifest.presets import PRESETS, Preset

_GIVEN_BY_ROW = ("path", "video_id", "clip_id")
_BOUNDS = ("start", "end", "start_frame", "end_frame")


def map_columns(manifest: str, found: tuple[str, ...], *, options: ManifestOptions) -> dict[str, str]:
    """Role -> column of one table.

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
    for role in (*preset.required, *options.columns):
        name = columns.get(role, usual.get(role))
        if name is not None and name not in found:
            raise ConfigError(_no_column(manifest, found, name, flag_of(role), options))
    for _, name, _, _ in Formatter().parse(options.path_template or ""):
        if name and name not in found and name not in _GIVEN_BY_ROW:
            raise ConfigError(_no_column(manifest, found, name, "--path-template", options))
    return columns


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
