"""The kinds of labels, by name."""

from collections.abc import Mapping

from pipeline.errors import DataError
from pipeline.labels.kinds.cameras import CAMERAS
from pipeline.labels.kinds.depth import DEPTH
from pipeline.labels.kinds.flow import FLOW
from pipeline.labels.kinds.kind import KIND, LabelKind
from pipeline.labels.kinds.tracks import TRACKS
from pipeline.labels.kinds.tracks3d import TRACKS3D

KINDS: dict[str, LabelKind] = {"tracks": TRACKS, "tracks3d": TRACKS3D, "depth": DEPTH, "flow": FLOW, "cameras": CAMERAS}


def kind_named(name: str) -> LabelKind:
    """The kind of this name. Raises DataError for one that this version does not know."""
    if name not in KINDS:
        raise DataError(f"labels of kind {name!r}; this trackmill knows {', '.join(KINDS)}: upgrade it (pip install -U trackmill)")
    return KINDS[name]


def is_kind(name: str, wanted: str) -> bool:
    """Whether labels of the first kind can be taken for labels of the second: those of tracks in space are tracks, too.

    A kind that this version does not know is itself alone.
    """
    return name == wanted or (name in KINDS and wanted in KINDS and issubclass(KINDS[name].record, KINDS[wanted].record))


def kind_of_file(metadata: Mapping[bytes, bytes] | None) -> LabelKind:
    """The kind that a label file's metadata name. Raises DataError."""
    return kind_named((metadata or {}).get(KIND.encode(), b"tracks").decode(errors="replace"))


__all__ = ["KINDS", "LabelKind", "is_kind", "kind_named", "kind_of_file"]
