"""Summary records of an audit's clips; parts are merged by addition, so that any grouping gives the same."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.audit.verdict import Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Histogram:
    """Counts of a measure in fixed bins; values beyond the ends lie in the outer bins."""

    measure: str
    edges: tuple[float, ...]  # ascending; one more than counts
    counts: tuple[int, ...]
    unknown: int  # NaN


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipBrief:
    """A clip as a report lists it."""

    key: str
    shard: int
    verdict: Verdict
    num_tracks: int
    mean_weight: float  # NaN without tracks
    video_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardSummary:
    """One line of the table of shards."""

    shard: int
    decisions: Mapping[str, int]  # decision -> clips
    num_tracks: int
    mean_weight: float
    worst_reason: str  # the commonest of the gravest decision; "" if all clips are kept without remark

    @property
    def num_clips(self) -> int:
        """All clips of the shard."""
        return sum(self.decisions.values())

    @property
    def keep_share(self) -> float:
        """Share of the clips that are kept."""
        return self.decisions.get("keep", 0) / max(self.num_clips, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightMass:
    """Share of the weight that one group of tracks keeps: only easy tracks would be a poor training set."""

    group: str  # "speed: slowest third", "motion: dynamic", "cell: 3,5", ...
    num_tracks: int
    weight: float  # sum

    @property
    def mean(self) -> float:
        """Mean weight; NaN for an empty group."""
        return self.weight / self.num_tracks if self.num_tracks else float("nan")


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditSummary:
    """Summary of an audit for its report, summary.json and comparisons; without pictures."""

    decisions: Mapping[str, int]
    reasons: Mapping[str, int]  # a clip counts once for each of its reasons
    video_s: float
    video_s_kept: float
    num_frames: int
    num_tracks: int
    num_visible: int  # points
    weight_sum: float
    trusted_tracks: int  # of weight 0.5 or more
    track_histograms: tuple[Histogram, ...]  # weight, bad_probability and every measure of tracks
    clip_histograms: tuple[Histogram, ...]  # every measure of clips
    masses: tuple[WeightMass, ...]
    shards: tuple[ShardSummary, ...]
    worst: tuple[ClipBrief, ...]
    borderline: tuple[ClipBrief, ...]
    random_keeps: tuple[ClipBrief, ...]
    licenses: Mapping[str, int]  # license of the source -> clips; "unknown" where none is stated

    @property
    def num_clips(self) -> int:
        """All clips, whatever became of them."""
        return sum(self.decisions.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class GateCheck:
    """One rule of the dataset's gate."""

    rule: str  # in words, with its limit
    value: str  # what was found, in words
    holds: bool
    blocks: bool  # False: a warning only


@dataclass(frozen=True, kw_only=True, slots=True)
class GateResult:
    """Whether the label set may be trained on."""

    checks: tuple[GateCheck, ...]

    @property
    def passes(self) -> bool:
        """No rule that blocks is broken."""
        return all(check.holds for check in self.checks if check.blocks)
