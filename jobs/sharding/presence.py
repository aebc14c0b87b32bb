"""Sources that cannot be found: one is an error that the next run tries again; a whole folder, mount or bucket stops the job."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from pipeline import storage
from pipeline.errors import ConfigError, StorageError
from pipeline.manifest import Manifest, ManifestOptions, read_manifest
from pipeline.shards.probing import Source
from pipeline.shards.source_roots import BRING_BACK, SourceRoots, is_gone


def read_inputs(inputs: Sequence[str], options: ManifestOptions, names: Mapping[str, str]) -> Manifest:
    """The manifest of this run; sources that earlier runs named need not be there any more.

    Args:
        names: of known sources, by uri.
    Raises: StorageError if an input that gave sources before holds none of them now; what `read_manifest` raises.
    """
    there = [given for given in inputs if not _is_known_and_gone(given, names)]
    if not there:
        raise StorageError(f"{inputs[0]} is gone, and its sources with it; {BRING_BACK}")
    try:
        manifest = read_manifest(there, options, names)
    except ConfigError as error:
        gone = next((given for given in there if _lost_all(given, names)), None)
        if gone is None:
            raise
        raise StorageError(f"{gone} holds none of the sources that it gave before ({error}); {BRING_BACK}") from error
    if names and not manifest.specs and manifest.count("missing") > 1:
        raise StorageError(
            f"none of the {manifest.count('missing')} videos that the rows name is there ({manifest.problems[0]}); {BRING_BACK}"
        )
    return manifest


def _is_known_and_gone(given: str, names: Mapping[str, str]) -> bool:
    return storage.escape_name(storage.absolute(given)) in names and not storage.exists(given)


def _lost_all(given: str, names: Mapping[str, str]) -> bool:
    place = storage.escape_name(storage.absolute(given)).rstrip("/") + "/"
    below = [uri for uri in names if uri.startswith(place)]
    return bool(below) and not any(storage.exists(storage.unescape_name(uri)) for uri in below)


def check_present(asked: Iterable[Source], missing: Iterable[str], roots: SourceRoots) -> None:
    """Raise StorageError where it is not a file that is gone but the folder, mount or bucket that held them all.

    Args:
        asked: the sources that were looked for. missing: relative uris of those that are not there.
    """
    gone = set(missing)
    if not gone:
        return
    by_root: dict[str, list[Source]] = defaultdict(list)
    for source in asked:
        by_root[roots.root_of(source.reference) or ""].append(source)
    for folder, sources in by_root.items():
        lost = [source for source in sources if source.relative_uri in gone]
        if lost and folder and (is_gone(folder) or (len(lost) == len(sources) > 1)):
            raise StorageError(f"{folder}: none of its {len(sources)} sources is there, such as {lost[0].uri}; {BRING_BACK}")
