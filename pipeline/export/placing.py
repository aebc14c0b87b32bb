"""Clips put below an export's folder: each appears whole, with a document that says where it came from, or not at all.

Some readers take every folder below the one that they are given for a sequence. So nothing but sequences is a folder there: what the
job notes for itself are files, and folders in the making lie beside it.
"""

import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import storage
from pipeline.errors import DataError, StorageError
from pipeline.tables import document_bytes, read_document

_CLIP = "exported_clip"
_IN_FOLDER = "export.json"
_NUMBERED = re.compile(r"export\.(\d{6,})\.json")


@dataclass(frozen=True, slots=True)
class ExportFolder:
    """The folder that an export goes to: a local path or URL."""

    uri: str
    in_folders: bool  # whether a clip is a folder of several files; else it is one file

    @property
    def identity(self) -> str:
        """Document that says what is exported, and how."""
        return storage.join(self.uri, "export.json")

    @property
    def lock(self) -> str:
        """Held by the job that writes here."""
        return storage.join(self.uri, "export.lock")

    def shard_document(self, shard: int) -> str:
        """Document that commits the clips of one shard."""
        return storage.join(self.uri, f"export.{shard:06d}.json")

    def shards(self) -> dict[int, str]:
        """Documents of committed shards, by number."""
        found = {}
        for uri in storage.glob(storage.join(glob_escaped(self.uri), "export.*.json")):
            match = _NUMBERED.fullmatch(uri.rsplit("/", 1)[-1])
            if match:
                found[int(match[1])] = uri
        return dict(sorted(found.items()))

    def clip_document(self, place: str) -> str:
        """Document of one clip: its commit."""
        if self.in_folders:
            return storage.join(self.uri, place, _IN_FOLDER)
        return storage.join(self.uri, f"{place.rpartition('.')[0]}.json")

    def finished(self, place: str, made_from: str) -> dict[str, Any] | None:
        """Document of a clip that is there already, and made from the same; else None."""
        uri = self.clip_document(place)
        if not storage.exists(uri):
            return None
        try:
            document = read_document(uri, _CLIP)
        except DataError:  # of another tool, or damaged: the clip is made anew
            return None
        document.pop("schema_version")
        return document if document.get("made_from") == made_from else None

    def put(self, place: str, files: Iterable[tuple[str, bytes]], document: Mapping[str, Any]) -> None:
        """Write a clip's files one by one, and its document; what was there is replaced.

        Raises: StorageError; whatever making a file raises. The clip is not there then.
        """
        data = document_bytes(dict(document), _CLIP)
        if not self.in_folders:
            ((_, content),) = files
            storage.publish_bytes(storage.join(self.uri, place), content)
            storage.publish_bytes(self.clip_document(place), data)
        elif storage.is_local(self.uri):
            self._put_folder(place, files, data)
        else:  # no folder can be renamed there: readers are to look once the shard is committed
            for name, content in files:
                storage.publish_bytes(storage.join(self.uri, place, name), content)
            storage.publish_bytes(self.clip_document(place), data)

    def _put_folder(self, place: str, files: Iterable[tuple[str, bytes]], document: bytes) -> None:
        target, temporary = Path(storage.absolute(self.uri)) / place, self._making() / place
        with storage.explained(str(target), "write"):
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            for name, content in files:
                path = temporary / name
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)
            (temporary / _IN_FOLDER).write_bytes(document)
            shutil.rmtree(target, ignore_errors=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(target)

    def remove(self, place: str) -> None:
        """Delete a clip, its document first; no error if it is not there."""
        storage.remove(self.clip_document(place))
        uri = storage.join(self.uri, place)
        with storage.explained(uri, "delete"):
            fs, path = storage.file_system(uri)
            if fs.exists(path):
                fs.rm(path, recursive=self.in_folders)

    def sweep(self) -> None:
        """Delete folders in the making that a killed job left. To be called by who holds the lock."""
        if storage.is_local(self.uri):
            shutil.rmtree(self._making(), ignore_errors=True)

    def _making(self) -> Path:
        whole = Path(storage.absolute(self.uri))
        if not whole.name:
            raise StorageError(f"{self.uri}: a file system's root cannot be exported to; name a folder in it")
        return whole.with_name(f".{whole.name}.making")


def glob_escaped(uri: str) -> str:
    """A path or URL in which no character stands for others in a glob pattern."""
    return re.sub(r"([*?[])", r"[\1]", uri)
