"""The labeler that made a label set, made again here, to follow its tracks back."""

from dataclasses import dataclass, field
from typing import Any

from jobs.labeling.cycle import followed_back
from labelers import LABELERS, Labeler, make_labeler
from pipeline.border import border
from pipeline.consensus.provenance import is_consensus
from pipeline.errors import ConfigError
from pipeline.records import ClipFrames, LabelSet, TrackLabels


@dataclass(slots=True)
class BackwardLabeler:
    """A `BackwardTracker`. The labeler is made when it is first needed, in the process that needs it."""

    label_set: LabelSet
    checkpoint: str | None
    _labeler: Labeler | None = field(default=None, init=False)

    def __call__(self, clip: ClipFrames, labels: TrackLabels) -> TrackLabels:
        """Labels of the reversed clip. Raises: DataError, an unexpected one where the labeler fails in a way of its own."""
        if self._labeler is None:
            self._labeler = labeler_of(self.label_set, self.checkpoint)
        with border(f"clip {clip.key}"):
            return followed_back(self._labeler, clip, labels)


def labeler_of(label_set: LabelSet, checkpoint: str | None) -> Labeler:
    """The labeler as it was when it made the set.

    Args:
        checkpoint: where its weights lie now, for a labeler that has any.
    Raises: ConfigError if it cannot be made here, or would not label as it did.
    """
    name, options = label_set.labeler, _options(label_set, checkpoint)
    if is_consensus(label_set):
        raise ConfigError("--cycle retrack: a consensus is fused from other labels, no labeler can follow it back; give --cycle none")
    if name not in LABELERS:
        raise ConfigError(
            f"--cycle retrack: labeler {name} of this label set is not one of {', '.join(LABELERS)}; label with the cycle stored"
            " (jobs/pseudolabel.py --cycle) and audit with --cycle stored, or with --cycle none"
        )
    labeler = make_labeler(name, **options)
    made = labeler.provenance()
    if made.checkpoint_sha256 != label_set.checkpoint_sha256:
        raise ConfigError(
            f"--checkpoint {checkpoint} has sha256 {str(made.checkpoint_sha256)[:12]}..., the label set was made with"
            f" {str(label_set.checkpoint_sha256)[:12]}... ({label_set.checkpoint}); give that one"
        )
    if dict(made.options) != dict(label_set.configuration.get("options", {})):
        raise ConfigError(
            f"--cycle retrack: {name} of this version has options {dict(made.options)}, the label set was made with"
            f" {label_set.configuration.get('options')}; use the version that made it, or --cycle none"
        )
    return labeler


def _options(label_set: LabelSet, checkpoint: str | None) -> dict[str, Any]:
    options = dict(label_set.configuration.get("options", {}))
    if label_set.checkpoint_sha256 is None:
        if checkpoint is not None:
            raise ConfigError(f"--checkpoint is given, but labeler {label_set.labeler} of this label set has none; leave it away")
        return options
    if checkpoint is None:
        raise ConfigError(
            f"--cycle retrack needs the weights that made the labels: give --checkpoint, a copy of {label_set.checkpoint}"
            f" (sha256 {label_set.checkpoint_sha256[:12]}...)"
        )
    return {**options, "checkpoint": checkpoint}
