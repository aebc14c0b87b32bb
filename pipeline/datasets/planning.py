"""From the sequences of a dataset to the planned clips: a pure function of listing and policy."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice

from pipeline.datasets.policy import ConversionPolicy
from pipeline.datasets.source import SequenceInfo, TruthSource
from pipeline.errors import DataError
from pipeline.shards.dataset import DatasetIdentity
from pipeline.shards.errors_table import ErrorRow
from pipeline.shards.keys import slug, source_hash, split_of
from pipeline.shards.plan import PlannedClip, assign_shards, extra_json
from pipeline.shards.windows import windows_of
from pipeline.video.spans import Span


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedSequences:
    """The clips of a dataset, and the sequences that give none."""

    clips: tuple[PlannedClip, ...]
    errors: tuple[ErrorRow, ...]


def plan_sequences(source: TruthSource, sequences: Sequence[SequenceInfo], policy: ConversionPolicy) -> PlannedSequences:
    """Windows of all sequences, numbered into shards. A sequence that is too short for a clip is an error."""
    clips, errors = [], []
    for sequence in sequences:
        windows = windows_of(Span(0, sequence.num_frames), policy.clip_frames, policy.clip_stride or policy.clip_frames, policy.min_frames)
        if windows:
            clips += [_planned(source, sequence, policy, number=number, window=window) for number, window in enumerate(windows)]
        else:
            error = DataError(
                f"{sequence.name}: {sequence.num_frames} frames, fewer than --min-frames {policy.min_frames}; lower it to take the sequence"
            )
            errors.append(ErrorRow(stage="plan", key="", source=sequence.name, exception="DataError", message=str(error)))
    limited = islice(clips, policy.limit)
    placed = assign_shards(limited, clips_per_shard=policy.clips_per_shard, bytes_per_shard=None)
    return PlannedSequences(clips=tuple(placed), errors=tuple(errors))


def _planned(source: TruthSource, sequence: SequenceInfo, policy: ConversionPolicy, *, number: int, window: Span) -> PlannedClip:
    scene = f"{source.name}/{sequence.scene or sequence.name}"
    return PlannedClip(
        shard=0,
        key=f"{slug(sequence.name)}-{source_hash(f'{source.name}/{sequence.name}')}-w{number:04d}",
        source=sequence.name,
        source_uri=f"{source.name}/{sequence.name}",  # where the dataset lies on this machine is no part of the plan
        source_id=scene,
        split=sequence.split or split_of(scene, policy.split_shares),
        license=source.license,
        first_frame=window.first,
        num_frames=window.count,
        span_first=0,
        span_frames=sequence.num_frames,
        video="images" if source.keep_images else "h264",
        extra=extra_json({"scene": sequence.scene, "prescribed_split": sequence.split, "reader": dict(sequence.extra)}),
    )


def sequence_of(clip: PlannedClip) -> SequenceInfo:
    """The sequence that a planned clip is a window of, as the listing gave it."""
    extra = json.loads(clip.extra)
    return SequenceInfo(
        name=clip.source,
        num_frames=int(clip.span_frames or 0),
        split=extra["prescribed_split"],
        scene=extra["scene"],
        extra=extra["reader"],
    )


def identity_of(dataset: str, sequences: Sequence[SequenceInfo], policy: ConversionPolicy) -> DatasetIdentity:
    """The identity of a converted dataset. Where it lies on this machine is no part of it."""
    digest = hashlib.sha256()
    for sequence in sequences:
        digest.update(json.dumps({**asdict(sequence), "extra": dict(sequence.extra)}, sort_keys=True).encode() + b"\n")
    return DatasetIdentity(kind="converted", inputs_sha256=digest.hexdigest(), policy={"dataset": dataset, **policy.document()})
