"""Names of sources that tell them apart: two files never share one."""

import posixpath
from collections import Counter
from collections.abc import Iterable

from pipeline.errors import ConfigError
from pipeline.manifest.listing import NamedFile


def distinct_names(files: Iterable[NamedFile]) -> dict[str, str]:
    """Uri -> relative uri. Files whose names clash get the names of as many folders above their roots as it takes.

    The order of `files` does not matter. Raises: ConfigError if even the whole paths are the same (in two stores).
    """
    named = {file.uri: file for file in files}
    depth = dict.fromkeys(named, 0)
    while True:
        names = {uri: _prefixed(file, depth[uri]) for uri, file in named.items()}
        counts = Counter(names.values())
        clashing = [uri for uri, name in names.items() if counts[name] > 1]
        if not clashing:
            return names
        longer = [uri for uri in clashing if _prefixed(named[uri], depth[uri] + 1) != names[uri]]
        if not longer:
            raise ConfigError(f"{' and '.join(sorted(clashing)[:2])} have one and the same path; shard them into two roots")
        for uri in longer:
            depth[uri] += 1


def _prefixed(file: NamedFile, depth: int) -> str:
    parts = [part for part in file.root.partition("://")[2].split("/") if part] if "://" in file.root else file.root.strip("/").split("/")
    return posixpath.join(*(parts[-depth:] if depth else []), file.relative_uri)
