"""Tracks with known truth, from the audits that lie below datasets with truth."""

import logging
from dataclasses import dataclass

import numpy as np

from pipeline.audit.calibrating.samples import TrackSamples, track_errors
from pipeline.audit.records import measure_names
from pipeline.audit.stored.audit_rows import iterate_audit_shard
from pipeline.audit.stored.audit_set import AuditSet, read_audit_set
from pipeline.audit.stored.clip_audit import TrackAudit
from pipeline.errors import ConfigError, DataError
from pipeline.labels import LabelShard, read_label_set, read_label_shard
from pipeline.layout import Layout, committed
from pipeline.metrics.label_comparison import match_queries
from pipeline.records import LabelSet, TrackLabels
from pipeline.shards.index import ClipEntry, read_index
from pipeline.shards.plan import read_plan_counts
from pipeline.shards.track_truth import read_track_truth
from pipeline.tables import read_document

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AuditedDataset:
    """An audited dataset with truth, as a calibration needs it."""

    audit: AuditSet
    label_set: LabelSet
    samples: TrackSamples


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Clip:
    measures: dict[str, np.ndarray]
    max_error_px: np.ndarray
    median_error_px: np.ndarray


def gather(root: str, audit_name: str) -> AuditedDataset:
    """Join an audit's measures with the errors of the labels that it judged, over all clips with truth.

    Tracks that are nowhere visible in both label and truth, but at the query, have no error and are left out; so are clips that the
    audit could not measure.

    Raises: ConfigError if there is no such audit, or nothing of it has truth; DataError for files that do not fit together.
    """
    audit = read_audit_set(root, audit_name)
    label_set = read_label_set(root, audit.label_set)
    clips: list[_Clip] = []
    for shard in sorted(committed(Layout(root).audit(audit_name))):
        clips += _clips_of_shard(root, audit, shard)
    if not clips:
        raise ConfigError(
            f"{root}: no clip of audit {audit_name} has true tracks at its labels' queries; make the dataset with jobs/synthesize.py or"
            " jobs/convert.py, and label it with jobs/pseudolabel.py --query-policy truth"
        )
    return AuditedDataset(audit=audit, label_set=label_set, samples=_joined(clips, _identity(root)))


def _clips_of_shard(root: str, audit: AuditSet, shard: int) -> list[_Clip]:
    entries = {entry.key: entry for entry in read_index(root, shard)}
    labels = read_label_shard(root, audit.label_set, shard)
    found = []
    for clip in iterate_audit_shard(root, audit.name, shard):
        if clip.tracks is None or clip.key not in entries:
            continue
        joined = _join(root, entries[clip.key], labels, clip.tracks)
        if joined is not None:
            found.append(joined)
    return found


def _join(root: str, entry: ClipEntry, labels: LabelShard, tracks: TrackAudit) -> _Clip | None:
    """The tracks of a clip whose error is known; None if it has no truth."""
    truth, record = read_track_truth(root, entry), entry.record
    if truth is None or record is None:
        return None
    found = labels.tracks(entry.key)
    if not np.array_equal(found.queries, tracks.queries):
        raise DataError(f"{labels.uri}: clip {entry.key} was labelled again after it was audited; delete that audit and run it again")
    partner = match_queries(found.queries, truth)
    rows = np.flatnonzero(partner >= 0)
    if not len(rows):
        return None
    chosen = TrackLabels(queries=found.queries[rows], tracks_px=found.tracks_px[:, rows], visibility=found.visibility[:, rows])
    largest, median = track_errors(chosen, truth.chosen(partner[rows]), height=record.height, width=record.width)
    known = ~np.isnan(largest)
    return _Clip(
        measures={name: tracks.measures[name][rows[known]] for name in measure_names()},
        max_error_px=largest[known],
        median_error_px=median[known],
    )


def _joined(clips: list[_Clip], dataset: str) -> TrackSamples:
    return TrackSamples(
        measures={name: np.concatenate([clip.measures[name] for clip in clips]) for name in measure_names()},
        max_error_px=np.concatenate([clip.max_error_px for clip in clips]),
        median_error_px=np.concatenate([clip.median_error_px for clip in clips]),
        clip=np.repeat(np.arange(len(clips)), [len(clip.max_error_px) for clip in clips]).astype(np.int64),
        dataset=np.zeros(sum(len(clip.max_error_px) for clip in clips), np.int64),
        datasets=(dataset,),
    )


def _identity(root: str) -> str:
    """Name of the dataset, and the first 8 digits of its plan's hash: equal clips, equal identity."""
    policy = read_document(Layout(root).dataset, "dataset").get("policy", {})
    name = policy.get("dataset", "dataset") if isinstance(policy, dict) else "dataset"
    return f"{name} {read_plan_counts(root).plan_hash[:8]}"
