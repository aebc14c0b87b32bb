"""Converting one planned shard: read each clip with its truth, check it, bring it to its stored size, write the tar, commit."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.border import begin_part, border
from pipeline.datasets.check_tables import ClipChecks, write_checks
from pipeline.datasets.planning import ConversionPolicy, sequence_of
from pipeline.datasets.preparation import complete_tracks, resize_for_video, subsample_tracks, to_first_camera
from pipeline.datasets.reprojection import with_reprojected_tracks
from pipeline.datasets.samples import sample_of
from pipeline.datasets.source import TruthSource
from pipeline.datasets.validation import Check, check_truth, failures
from pipeline.errors import DataError
from pipeline.shards.committing import ShardOutcome, commit_shard
from pipeline.shards.plan import PlannedClip, read_plan_counts, read_shard_plan
from pipeline.shards.tar import TarSample

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvertedClip:
    """One converted clip and its checks; without a sample where it failed."""

    sample: TarSample | DataError
    checks: tuple[Check, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ConversionEstimate:
    """Cost of one clip; times the number of clips, that of all."""

    clip_bytes: int
    clip_cpu_s: float
    error: str | None  # why the clip that was tried cannot be converted


def convert_shard(root: str, shard: int, *, source: TruthSource, policy: ConversionPolicy, crashed: Mapping[str, str]) -> ShardOutcome:
    """Convert, check and commit one shard: first the tar, then errors and checks, last the index.

    Args:
        crashed: clips (by key) that killed a worker, and what is to be said of them; they are not touched again.
    Raises: StorageError when bytes cannot be read or written just now; nothing is committed then.
    """
    return commit_shard(root, shard, _results(root, shard, source, policy, crashed))


def convert_clip(clip: PlannedClip, source: TruthSource, policy: ConversionPolicy) -> ConvertedClip:
    """Read one clip, check it as read, finish it, check it as stored.

    A failing check is a DataError that names the finding; so is what cannot be read. Raises: StorageError.
    """
    checks: tuple[Check, ...] = ()
    try:
        with border(f"clip {clip.key}"):
            truth = source.read(sequence_of(clip), int(clip.first_frame or 0), int(clip.num_frames or 0))
            truth = with_reprojected_tracks(truth, policy.reprojected_tracks)
            checks = check_truth(truth)
            _refuse(clip, checks, policy)
            stored = resize_for_video(to_first_camera(truth), policy.long_side)
            stored = subsample_tracks(complete_tracks(stored), policy.max_tracks, clip.key)
            if stored.frames.shape != truth.frames.shape:
                _refuse(clip, check_truth(stored), policy)
            return ConvertedClip(sample=sample_of(clip, stored, policy), checks=checks)
    except DataError as error:
        return ConvertedClip(sample=error, checks=checks)


def try_clip(clip: PlannedClip, source: TruthSource, policy: ConversionPolicy) -> None:
    """Convert one clip and forget it: whether it kills the process is all that the caller wants to know."""
    convert_clip(clip, source, policy)


def estimate_clip(root: str, source: TruthSource, policy: ConversionPolicy) -> ConversionEstimate | None:
    """Convert the plan's first clip in memory and say what it cost; None if nothing is planned."""
    shards = read_plan_counts(root).shards
    if len(shards) == 0:
        return None
    clip = read_shard_plan(root, int(shards[0]))[0]
    started = time.process_time()
    sample = convert_clip(clip, source, policy).sample
    cpu_s = time.process_time() - started
    if isinstance(sample, DataError):
        return ConversionEstimate(clip_bytes=0, clip_cpu_s=cpu_s, error=f"clip {clip.key}: {sample}")
    return ConversionEstimate(clip_bytes=sum(len(data) for data in sample.members().values()), clip_cpu_s=cpu_s, error=None)


def _results(
    root: str, shard: int, source: TruthSource, policy: ConversionPolicy, crashed: Mapping[str, str]
) -> Iterator[tuple[PlannedClip, TarSample | DataError]]:
    """Every planned clip in order; what the checks measured is published after the last."""
    measured = []
    for clip in read_shard_plan(root, shard):
        if clip.key in crashed:
            yield clip, DataError(crashed[clip.key])
            continue
        begin_part(clip.key)
        converted = convert_clip(clip, source, policy)
        measured.append(ClipChecks(key=clip.key, checks=converted.checks))
        yield clip, converted.sample
    write_checks(root, shard, measured)


def _refuse(clip: PlannedClip, checks: Sequence[Check], policy: ConversionPolicy) -> None:
    failed = failures(checks, policy.accept)
    if failed:
        first = int(clip.first_frame or 0)
        raise DataError(
            f"{clip.source}, frames {first}..{first + int(clip.num_frames or 0) - 1}: {'; '.join(map(str, failed))}. Is it the published"
            f" dataset? --accept {failed[0].finding} lets such clips pass"
        )
    for check in checks:
        if not check.passed:
            _LOG.warning("clip %s: accepted although %s", clip.key, check)
