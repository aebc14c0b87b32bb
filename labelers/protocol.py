"""Interface and provenance of labelers."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipeline.errors import ConfigError
from pipeline.records import ClipFrames, Labels, TrackLabels

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelerProvenance:
    """Origin of labels. `options` holds all that changes them, resolved, in JSON types, and nothing else."""

    name: str  # becomes part of the label set's directory name
    options: Mapping[str, Any]
    visibility_rule: str | None = None  # of tracks: how the boolean was derived, for people
    facts: Mapping[str, Any] = field(default_factory=dict)  # of other kinds: what a reader must know of the labels, in JSON types
    checkpoint: str | None = None  # where the weights came from
    checkpoint_sha256: str | None = None
    precision: str = "float32"
    versions: Mapping[str, str] = field(default_factory=dict)  # of the packages that compute the labels
    license: str | None = None  # of the checkpoint
    parents: Mapping[str, Any] | None = None  # what the checkpoint was trained on, where it says; see LabelSet

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"labeler name {self.name!r} may hold only a-z 0-9 - and must not begin with -")
        try:
            json.dumps([self.options, self.facts, self.parents])
        except (TypeError, ValueError) as error:
            raise ConfigError(f"options, facts and parents of labeler {self.name} must be JSON types: {error}") from error


class Labeler(Protocol):
    """Makes labels of one kind: follows points through clips (`tracks`, `tracks3d`), or measures every pixel (`depth`, `flow`).

    No state of a clip is kept.

    An attribute `kind` names the kind; a labeler without one makes tracks. Labels of a clip depend on that clip (frames, queries,
    key) and on the labeler's options alone: not on the clips beside it.
    """

    def label(self, clips: Sequence[ClipFrames]) -> Sequence[Labels]:
        """One record of the labeler's kind per clip, in order. Raises DataError for a clip that cannot be labelled.

        Tracks: the clip's queries come first, in their order; re-seeded ones may follow. A clip without queries gives labels of zero
        tracks. Depth and flow have the clip's own size; clips come without queries.
        """
        ...

    def provenance(self) -> LabelerProvenance:
        """Name, options and versions of this labeler."""
        ...


def kind_of(labeler: Labeler) -> str:
    """The kind of labels that a labeler makes."""
    return str(getattr(labeler, "kind", TrackLabels.kind))
