"""What readers share whose dataset is folders of frames: where it lies, under which licence, and the listing of its sequences."""

import re
from abc import ABC, abstractmethod
from typing import ClassVar

from pipeline.datasets.files import FileTree, FrameFolder, checked_sequences
from pipeline.datasets.source import SequenceInfo
from pipeline.storage import absolute


class FrameFolderSource(ABC):
    """A subclass names the dataset, its terms and how its image files lie, and reads clips."""

    name: ClassVar[str]
    keep_images: ClassVar[bool] = False
    terms: ClassVar[str]  # its licence
    images: ClassVar[re.Pattern[str]]  # of an image's path; its groups but the last become `FrameFolder.parts`
    layout: ClassVar[str]  # an example of such a path, for errors

    def __init__(self, root: str, *, license: str | None = None) -> None:
        """`root` holds the dataset, at any depth; `license` replaces `terms`."""
        self._root = absolute(root)
        self.license: str | None = license or self.terms

    def sequences(self) -> list[SequenceInfo]:
        """All sequences. Raises: ConfigError if there are none."""
        tree = FileTree(self._root)
        found = [self._sequence(tree, folder) for folder in tree.frame_folders(self.images)]
        return checked_sequences(self.name, self._root, sequences=found, layout=self.layout)

    @abstractmethod
    def _sequence(self, tree: FileTree, folder: FrameFolder) -> SequenceInfo:
        """The sequence whose images lie in a folder."""
