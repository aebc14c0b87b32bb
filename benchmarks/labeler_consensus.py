"""The consensus of labelers of one clip in memory, for benchmarks/labeler_table.py: what jobs/consensus.py makes of their label sets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from labelers import Labeler, make_labeler
from pipeline.audit.auditing import measure_clip_pictures, weigh_tracks
from pipeline.audit.calibrating.shipped import shipped_calibration
from pipeline.audit.calibration import Calibration
from pipeline.consensus.fusion import AGREE_PX, Opinion, fuse_tracks
from pipeline.consensus.matching import match_queries
from pipeline.consensus.provenance import Member
from pipeline.records import ClipFrames, LabelSet, TrackLabels


@dataclass(frozen=True, slots=True)
class _Voter:
    labeler: Labeler
    vote: str
    calibration: Calibration | None  # that its audit takes by itself


class ConsensusLabeler:
    """Labels clips by several labelers, audits what each of them made, and fuses it; with equal votes nothing is audited.

    Args:
        members: options of each labeler, `labeler` among them.
    """

    def __init__(self, members: Sequence[dict[str, Any]], *, equal_votes: bool = False, agree_px: float = AGREE_PX) -> None:
        self._voters = [_voter(**options) for options in members]
        self._equal_votes, self._agree_px = equal_votes, agree_px

    def label(self, clips: Sequence[ClipFrames]) -> list[TrackLabels]:
        """Fused tracks of each clip."""
        return [self._fused(clip) for clip in clips]

    def _fused(self, clip: ClipFrames) -> TrackLabels:
        opinions = [self._opinion(voter, clip) for voter in self._voters]
        matched = match_queries([each.labels.queries for each in opinions], [each.vote for each in opinions])
        _, height, width = clip.reader.shape
        return fuse_tracks(opinions, matched, height=height, width=width, agree_px=self._agree_px)

    def _opinion(self, voter: _Voter, clip: ClipFrames) -> Opinion:
        (labels,) = voter.labeler.label([clip])
        trust = np.ones(len(labels.queries), np.float32)
        if not self._equal_votes:
            trust = weigh_tracks(labels, measure_clip_pictures(labels, clip.reader), calibration=voter.calibration).weights.weight
        return Opinion(vote=voter.vote, labels=labels, trust=trust)


def _voter(labeler: str, **options: Any) -> _Voter:
    made = make_labeler(labeler, **options)
    known = made.provenance()
    label_set = LabelSet(
        labeler=known.name,
        configuration={"options": dict(known.options)},
        checkpoint_sha256=known.checkpoint_sha256,
        precision=known.precision,
    )
    record = shipped_calibration(label_set, "none")
    vote = Member(label_set=label_set, audit=None).vote
    return _Voter(labeler=made, vote=vote, calibration=None if record is None else record.calibration)
