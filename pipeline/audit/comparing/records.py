"""Records of a comparison of two audits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from pipeline.audit.stored.audit_set import AuditSet

Level = Literal["fine", "warn", "fail"]
LEVELS: tuple[Level, ...] = get_args(Level)
Relation = Literal["same labels", "rerun", "upgrade"]  # of the second label set to the first
ALL_CLIPS = "all clips"


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftRules:
    """Limits of a comparison. Source: the label quality specification, drift; where it names no number, ours is marked."""

    psi_warn: float = 0.1
    psi_fail: float = 0.25
    psi_least: int = 100  # values on either side, below which PSI means nothing; ours
    ks_warn: float = 0.1
    ks_least: int = 1000  # values on either side, above which the KS distance counts
    unknown_warn: float = 0.1  # change of the share of unknown values; ours
    rerun_agreement: float = 0.98  # of canary clips labelled twice in the same way
    upgrade_agreement: float = 0.8  # of canary clips labelled in another way


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftRow:
    """Drift of one measure's distribution from the first audit to the second. NaN where either side knows no value."""

    measure: str
    psi: float  # population stability index
    ks: float  # largest distance of the cumulated shares
    wasserstein: float  # mean distance that the values moved, in `unit`
    unit: str  # "" for shares and ratios
    level: Level
    note: str  # in words, "" if there is nothing to say
    group: str = ALL_CLIPS  # or a bin of the camera's motion
    num_expected: int = 0  # known values
    num_found: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class CanaryClip:
    """One clip labelled by both, its tracks paired by equal queries; pixels of the 256 x 256 raster, NaN without a pair."""

    key: str
    num_tracks: int  # of the first label set
    num_paired: int
    agree_aj: float  # AJ of each with the other as truth, the mean of both, averaged over pairs
    displacement_px: float  # median over pairs of a pair's median distance where both are visible
    visible_iou: float  # mean over pairs


@dataclass(frozen=True, kw_only=True, slots=True)
class CanaryReport:
    """Agreement over all canary clips."""

    relation: Relation
    least_agreement: float  # what is expected of the mean AJ
    clips: tuple[CanaryClip, ...]
    agree_aj: float  # means over clips that have pairs; NaN if none has
    displacement_px: float  # median over them
    visible_iou: float
    level: Literal["fine", "fail"]
    note: str

    @property
    def num_paired(self) -> int:
        """Clips in which tracks could be paired."""
        return sum(clip.num_paired > 0 for clip in self.clips)


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two audits of one dataset, side by side."""

    first: AuditSet
    second: AuditSet
    rules: DriftRules
    num_clips: Mapping[str, int]  # labelled by both on the same video, by group; ALL_CLIPS counts them all
    left_out: Mapping[str, int]  # clips by reason
    rows: tuple[DriftRow, ...]  # all clips first, then group by group
    canary: CanaryReport
    warnings: tuple[str, ...] = ()

    @property
    def fails(self) -> tuple[str, ...]:
        """Failed rules, in words; empty if the second set may take the first one's place."""
        drifted = [f"drift of {row.measure} in {row.group}: {row.note}" for row in self.rows if row.level == "fail"]
        return (*([f"canary: {self.canary.note}"] if self.canary.level == "fail" else []), *drifted)
