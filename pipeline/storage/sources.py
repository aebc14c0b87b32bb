"""Files named by path, URL or hub address, and the proof that their bytes are the ones meant."""

import re
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.storage.files import absolute, exists, is_directory
from pipeline.storage.hub import fetch_from_hub, is_hub_source

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class LocatedFile:
    """Place of a source's bytes, and the hash that they must have."""

    source: str  # as it was asked for
    path: str  # an absolute path, or the URL
    sha256: str | None  # the one that was asked for, 64 hex digits; None to take any
    hub_sha256: str | None  # of the bytes as the hub has them, where it says so
    remedy: str  # what to do if they are damaged

    @property
    def proven(self) -> bool:
        """Whether a hash says which bytes are meant."""
        return self.sha256 is not None or self.hub_sha256 is not None

    def check(self, digest: str) -> None:
        """Raise ConfigError unless the sha256 of what was read, `digest`, is the one meant."""
        if self.hub_sha256 not in (None, digest):
            raise ConfigError(
                f"{self.source}: the copy in the cache is damaged: its sha256 is {digest}, the hub's is {self.hub_sha256}; {self.remedy}"
            )
        if self.sha256 not in (None, digest):
            raise ConfigError(f"{self.source}: its sha256 is {digest}, expected {self.sha256}; it is another file than the one meant")


def locate_file(source: str, *, sha256: str | None = None) -> LocatedFile:
    """Find a file, fetching it from the hub if need be. Its bytes are not read.

    Args:
        source: a local path, `hf://org/repo[@revision]/file`, or a URL that fsspec can read.
        sha256: the file must have this one (64 hex digits); None to take it as it is.
    Raises: ConfigError if there is no such file, or it cannot be fetched; StorageError if the store cannot be asked.
    """
    if sha256 is not None and not _SHA256.fullmatch(sha256.lower()):
        raise ConfigError(f"{source}: the expected sha256 is {sha256!r}, expected 64 hex digits")
    if is_hub_source(source):
        fetched = fetch_from_hub(source)
        path, hub_sha256 = fetched.path, fetched.sha256
        remedy = f"delete {Path(path).resolve()} and run the same command again"
    else:
        path, hub_sha256, remedy = absolute(source), None, "fetch it again"
    if not exists(path):
        raise ConfigError(f"there is no file {source}; check the path, or name a hub file as hf://org/repo/file")
    if is_directory(path):
        raise ConfigError(f"{source} is a directory, expected a file of weights within it")
    wanted = None if sha256 is None else sha256.lower()
    return LocatedFile(source=source, path=path, sha256=wanted, hub_sha256=hub_sha256, remedy=remedy)
