"""The kinds of labels, by name."""

from collections.abc import Mapping

from pipeline.errors import DataError
from pipeline.labels.kinds.cameras import CAMERAS
from pipeline.labels.kinds.depth import DEPTH
from pipeline.labels.kinds.kind import KIND, LabelKind
from pipeline.labels.kinds.tracks import TRACKS

KINDS: dict[str, LabelKind] = {"tracks": TRACKS, "depth": DEPTH, "cameras": CAMERAS}


def kind_named(name: str) -> LabelKind:
    """The kind of this name. Raises DataError for one that this version does not know."""
    if name not in KINDS:
        raise DataError(f"labels of kind {name!r}; this trackmill knows {', '.join(KINDS)}: upgrade it (pip install -U trackmill)")
    return KINDS[name]


def kind_of_file(metadata: Mapping[bytes, bytes] | None) -> LabelKind:
    """The kind that a label file's metadata name. Raises DataError."""
    return kind_named((metadata or {}).get(KIND.encode(), b"tracks").decode(errors="replace"))


__all__ = ["KINDS", "LabelKind", "kind_named", "kind_of_file"]
