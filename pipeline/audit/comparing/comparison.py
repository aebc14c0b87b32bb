"""Comparison of two audits: measures over the clips that both judged, counted shard by shard by camera motion, and canary clips."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from pipeline import storage
from pipeline.audit.clips.video import VideoMeasures
from pipeline.audit.comparing.canary import CanaryCandidate, canary_report, candidates
from pipeline.audit.comparing.drift import compare_histograms
from pipeline.audit.comparing.records import ALL_CLIPS, CanaryClip, Comparison, DriftRow, DriftRules, Relation
from pipeline.audit.stored.audit_rows import iterate_audit_shard
from pipeline.audit.stored.audit_set import AuditSet
from pipeline.audit.stored.clip_audit import ClipAudit
from pipeline.audit.stored.screen import read_screen
from pipeline.audit.summing.records import Histogram
from pipeline.audit.summing.sums import CLIP_HISTOGRAMS, TRACK_HISTOGRAMS, bin_counts, measure_edges
from pipeline.layout import Layout

NOT_SCREENED, UNKNOWN = "not screened", "motion unknown"
MOTION_BINS = ("still", "slow pan", "fast pan", "zoom or roll", UNKNOWN, NOT_SCREENED)
MEASURES = (*TRACK_HISTOGRAMS, *CLIP_HISTOGRAMS)


@dataclass(frozen=True, kw_only=True, slots=True)
class MotionLimits:
    """Upper limits of one bin of camera motion, per frame; chosen by us."""

    still_width: float = 0.002  # pan as a share of the width: half a pixel of 256
    fast_width: float = 0.02
    roll_deg: float = 0.5
    zoom_percent: float = 1.0


def motion_bin(video: VideoMeasures | None, limits: MotionLimits | None = None) -> str:
    """The bin of a clip by its screen: still, slow pan, fast pan, zoom or roll; or why it has none."""
    limits = limits or MotionLimits()
    if video is None:
        return NOT_SCREENED
    if video.roll_deg >= limits.roll_deg or video.zoom_percent >= limits.zoom_percent:
        return "zoom or roll"
    if math.isnan(video.pan_width_share):
        return UNKNOWN
    if video.pan_width_share < limits.still_width:
        return "still"
    return "slow pan" if video.pan_width_share < limits.fast_width else "fast pan"


@dataclass(slots=True, eq=False)
class PairedCounts:
    """Counts of two audits, to be added up in any order; at most as large as measures times groups."""

    counts: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)  # (group, measure) -> int64 "2 K+1", the last bin unknown
    num_clips: Counter[str] = field(default_factory=Counter)  # by group
    left_out: Counter[str] = field(default_factory=Counter)  # by reason
    candidates: list[CanaryCandidate] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)  # shard -> why its reader died

    def add_clip(self, group: str, first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> None:
        """Count a clip that both judged, in its group and among all."""
        for name in (ALL_CLIPS, group):
            self.num_clips[name] += 1
            for measure in MEASURES:
                self._add(name, measure, np.stack([first[measure], second[measure]]))

    def merge(self, other: "PairedCounts", *, num_canaries: int) -> None:
        """Add the counts of another part."""
        for (group, measure), counts in other.counts.items():
            self._add(group, measure, counts)
        self.num_clips.update(other.num_clips)
        self.left_out.update(other.left_out)
        self.unread.update(other.unread)
        self.candidates = sorted([*self.candidates, *other.candidates])[:num_canaries]

    def histograms(self, group: str, measure: str) -> tuple[Histogram, Histogram]:
        """The first audit's and the second's."""
        edges = measure_edges(measure)
        first, second = (
            Histogram(measure=measure, edges=edges, counts=tuple(row[:-1].tolist()), unknown=int(row[-1]))
            for row in self.counts[group, measure]
        )
        return first, second

    def _add(self, group: str, measure: str, counts: np.ndarray) -> None:
        there = self.counts.get((group, measure))
        self.counts[group, measure] = counts if there is None else there + counts


def count_shard(root: str, audits: tuple[str, str], shard: int, *, num_canaries: int) -> PairedCounts:
    """Count the clips of a shard that both audits measured on the same video. One clip's measures are in memory at a time.

    Raises: DataError or StorageError naming the file that cannot be read.
    """
    found, before = PairedCounts(), {}
    uris = [Layout(root).audit_shard(audit, shard) for audit in audits]
    there = [storage.exists(uri) for uri in uris]
    if there[0]:
        before = {clip.key: (clip.clip_sha256, clip_counts(clip)) for clip in iterate_audit_shard(root, audits[0], shard)}
    groups, joint, seen = _groups(root, shard) if all(there) else {}, [], set()
    for clip in iterate_audit_shard(root, audits[1], shard) if there[1] else ():
        seen.add(clip.key)
        sha256, first = before.get(clip.key, (None, None))
        second = clip_counts(clip)
        if first is None or second is None:
            found.left_out[_missing(first is not None, second is not None)] += 1
        elif sha256 != clip.clip_sha256:
            found.left_out["labelled on different videos"] += 1
        else:
            found.add_clip(groups.get(clip.key, NOT_SCREENED), first, second)
            joint.append(clip.key)
    found.left_out.update(_missing(counts is not None, False) for key, (_, counts) in before.items() if key not in seen)
    found.candidates = candidates(joint, shard, num_canaries)
    return found


def clip_counts(clip: ClipAudit) -> dict[str, np.ndarray] | None:
    """Counts of one clip by measure, int64 "K+1" each, the last bin unknown; None if it was not measured."""
    if clip.tracks is None or clip.measures is None:
        return None
    tracks = clip.tracks
    unknown = np.full(len(tracks.weight), np.nan, np.float32)
    bad = unknown if tracks.bad_probability is None else tracks.bad_probability
    values = {"weight": tracks.weight, "bad_probability": bad, **tracks.measures}
    values |= {name: np.array([value], np.float64) for name, value in asdict(clip.measures).items()}
    return {name: np.append(bin_counts(values[name], measure_edges(name)), np.isnan(values[name]).sum()) for name in MEASURES}


def _missing(in_first: bool, in_second: bool) -> str:
    if in_first:
        return "measured only in the first"
    return "measured only in the second" if in_second else "measured in neither"


def _groups(root: str, shard: int) -> dict[str, str]:
    """Motion bin by key, of a shard that was screened."""
    if not storage.exists(Layout(root).screen_shard(shard)):
        return {}
    return {row.key: motion_bin(row.measures) for row in read_screen(root, shard)}


def merge_counts(parts: Iterable[PairedCounts], *, num_canaries: int) -> PairedCounts:
    """All parts together."""
    total = PairedCounts()
    for part in parts:
        total.merge(part, num_canaries=num_canaries)
    return total


def compare_audits(
    audits: tuple[AuditSet, AuditSet],
    counts: PairedCounts,
    canaries: Sequence[CanaryClip],
    *,
    relation: Relation,
    rules: DriftRules | None = None,
) -> Comparison:
    """Judge the counts: every measure over all clips, then in each bin of the camera's motion where there are several bins."""
    rules = rules or DriftRules()
    bins = [name for name in MOTION_BINS if name in counts.num_clips]
    groups = [ALL_CLIPS, *(bins if len(bins) > 1 else [])]
    return Comparison(
        first=audits[0],
        second=audits[1],
        rules=rules,
        num_clips={name: counts.num_clips[name] for name in (ALL_CLIPS, *bins)},
        left_out=dict(sorted(counts.left_out.items())),
        rows=tuple(_told_only(row, *audits) for group in groups for row in _rows(counts, group, rules)),
        canary=canary_report(relation, canaries, rules),
        warnings=tuple(_warnings(*audits)),
    )


def _rows(counts: PairedCounts, group: str, rules: DriftRules) -> list[DriftRow]:
    """The measures of which either side knows something."""
    pairs = [counts.histograms(group, measure) for measure in MEASURES]
    return [compare_histograms(*pair, rules=rules, group=group) for pair in pairs if any(sum(side.counts) for side in pair)]


def _told_only(row: DriftRow, first: AuditSet, second: AuditSet) -> DriftRow:
    """A row that fails, as a warning where the measure is another number on either side: between two labelers, which say confidence each
    in their own way, and whose weights come from rules of their own."""
    others = {"vis_conf"} | ({"weight", "bad_probability"} if first.weights != second.weights else set())
    if row.level != "fail" or first.labeler == second.labeler or row.measure not in others:
        return row
    return replace(row, level="warn", note=f"{row.note}; of two labelers, so it fails nothing")


def _warnings(first: AuditSet, second: AuditSet) -> list[str]:
    said = {
        "measures": "formulas of the measures differ ({} and {}): drift may come from them, not from the labels; audit both by one version",
        "cycle": "the way back was measured otherwise ({} and {}): fb_cycle and what follows from it cannot be compared",
        "weights": "weights were made by different rules ({} and {}): compare weight and bad_probability with that in mind",
    }
    return [
        text.format(getattr(first, name), getattr(second, name))
        for name, text in said.items()
        if getattr(first, name) != getattr(second, name)
    ]
