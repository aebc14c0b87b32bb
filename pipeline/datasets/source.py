"""What a dataset's reader offers to a conversion."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipeline.records.truth import TruthClip


@dataclass(frozen=True, kw_only=True, slots=True)
class SequenceInfo:
    """One camera's uninterrupted recording, as listing the dataset finds it: nothing is decoded for it.

    All of it is hashed into the identity of the converted dataset, so an option of the reader that changes what is read belongs
    into `extra`, and an absolute path does not.
    """

    name: str  # unique within the dataset and stable between machines, such as train/seq_0001/left; hashed into keys and splits
    num_frames: int
    split: str | None = None  # train | val | test where the dataset prescribes one
    scene: str | None = None  # sequences of one scene (two cameras, two weathers) share their split; None: each its own
    extra: Mapping[str, Any] = field(default_factory=dict)  # what the reader needs to find it again; JSON types


class TruthSource(Protocol):
    """A dataset on disk (or a renderer). Small, and may be pickled: it is sent to every worker."""

    @property
    def name(self) -> str:
        """Of the dataset, such as kubric."""
        ...

    @property
    def license(self) -> str | None:
        """Of its clips."""
        ...

    @property
    def keep_images(self) -> bool:
        """Whether the source's image bytes are stored, never a recompression: evaluation sets."""
        ...

    def sequences(self) -> Sequence[SequenceInfo]:
        """All sequences, in a fixed order. Raises ConfigError if the layout is not this dataset's."""
        ...

    def read(self, sequence: SequenceInfo, first_frame: int, num_frames: int) -> TruthClip:
        """Frames [first_frame, first_frame + num_frames) with their truth.

        Poses may stay in the source's own world: a wrong convention is easier to name there, and the conversion makes the first
        valid camera the origin once the checks have passed. (A source whose world lies kilometres away anchors the clip itself:
        `pipeline.datasets.anchoring`.) Depth is the source's; tracks by reprojection are the conversion's work too.

        Raises: DataError, naming the file, the frame, what was found and expected, and the remedy.
        """
        ...
