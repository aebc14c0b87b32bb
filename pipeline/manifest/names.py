"""Names of sources that tell them apart: two files never share one."""

import posixpath
from collections import Counter
from collections.abc import Iterable, Mapping

from pipeline.errors import ConfigError
from pipeline.manifest.listing import NamedFile


def distinct_names(files: Iterable[NamedFile], known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Uri -> relative uri. Files whose names clash get the names of as many folders above their roots as it takes.

    The order of `files` does not matter.
    Args:
        known: names that were given before, by uri: they stay, and no other file gets one of them.
    Raises: ConfigError if even the whole paths are the same (in two stores).
    """
    before = known or {}
    taken = frozenset(before.values())
    named = {file.uri: file for file in files}
    kept = {uri: before[uri] for uri in named if uri in before}
    depth = {uri: 0 for uri in named if uri not in kept}
    while True:
        names = {uri: _prefixed(named[uri], depth[uri]) for uri in depth}
        counts = Counter(names.values())
        clashing = [uri for uri, name in names.items() if counts[name] > 1 or name in taken]
        if not clashing:
            return {**names, **kept}
        longer = [uri for uri in clashing if _prefixed(named[uri], depth[uri] + 1) != names[uri]]
        if not longer:
            raise ConfigError(f"{' and '.join(sorted(clashing)[:2])} have a path that another source has; shard them into another root")
        for uri in longer:
            depth[uri] += 1


def _prefixed(file: NamedFile, depth: int) -> str:
    parts = [part for part in file.root.partition("://")[2].split("/") if part] if "://" in file.root else file.root.strip("/").split("/")
    return posixpath.join(*(parts[-depth:] if depth else []), file.relative_uri)
