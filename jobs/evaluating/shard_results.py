"""Results of each shard of an evaluation, kept below --out: an evaluation that was killed goes on from there."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from pipeline import storage
from pipeline.errors import DataError
from pipeline.layout import Layout, committed
from pipeline.shards.dataset import code_version
from pipeline.shards.errors_table import ErrorRow
from pipeline.tables import fingerprint, read_document, write_document

_READERS = 8  # footers that are read at a time
_KIND = "evaluated_shard"


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardResults:
    """One document a shard, in a folder that is named after the settings; without a folder nothing is kept."""

    folder: str | None
    made_from: Mapping[int, str]  # shard -> identity of the files that its result is made from

    def publish(self, shard: int, document: Mapping[str, Any]) -> dict[str, Any]:
        """Commit what a shard gave, if results are kept. Returns the document as it is read again."""
        document = {**document, "made_from": self.made_from[shard]}
        if self.folder is not None:
            write_document(self._uri(shard), document, _KIND)
        return document

    def kept(self) -> dict[int, dict[str, Any]]:
        """Results of earlier runs. Results of other files, and those that hold an error that nobody foresaw, are removed."""
        if self.folder is None:
            return {}
        found = {}
        for shard in sorted(committed(self.folder)):
            document = read_document(self._uri(shard), _KIND)
            if document["made_from"] == self.made_from.get(shard) and not any(row.unexpected for row in errors_of(document)):
                found[shard] = document
            else:
                storage.remove(self._uri(shard))
        return found

    def _uri(self, shard: int) -> str:
        return storage.join(str(self.folder), f"{shard:06d}.json")


def results_folder(out: str | None, settings: Mapping[str, Any]) -> str | None:
    """Folder below `out` for results of these settings by this version of the code."""
    return None if out is None else storage.join(out, "shards", digest({**settings, "code_version": code_version()})[:8])


def made_from(root: str, shards: Sequence[int], label_sets: Sequence[str] = (), **more: Mapping[int, Any]) -> dict[int, str]:
    """Identity of the files that the result of each shard is made from: index, labels and tombstones, and of `more` by shard."""
    layout = Layout(root)
    tombstones = fingerprint(layout.tombstones)

    def identity(shard: int) -> str:
        tables = [layout.shard_index(shard), *(layout.label_shard(name, shard) for name in label_sets)]
        given = {name: by_shard[shard] for name, by_shard in more.items()}
        return digest({"tables": [_identity(uri) for uri in tables], "tombstones": tombstones, **given})

    with ThreadPoolExecutor(max_workers=_READERS) as readers:
        return dict(zip(shards, readers.map(identity, shards), strict=True))


def _identity(uri: str) -> str | None:
    try:
        return fingerprint(uri)
    except DataError:  # it costs its shard when it is read
        return "damaged"


def digest(document: Mapping[str, Any]) -> str:
    """64 hex digits of JSON types."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def error_documents(errors: Iterable[ErrorRow]) -> list[dict[str, Any]]:
    """Errors of clips in JSON types."""
    return [asdict(row) for row in errors]


def errors_of(document: Mapping[str, Any]) -> list[ErrorRow]:
    """The errors of a shard's document."""
    return [ErrorRow(**row) for row in document["errors"]]
