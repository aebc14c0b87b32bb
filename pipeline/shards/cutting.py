"""Cutting one planned shard: read each source once, prove every clip, write the tar, then commit it."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby

from av.video.frame import VideoFrame

from pipeline import storage
from pipeline.border import begin_part, border, is_disk_full
from pipeline.errors import DataError, MissingSourceError, StorageError
from pipeline.layout import Layout
from pipeline.manifest.cameras import read_pseudo_cameras
from pipeline.records import ClipRecord
from pipeline.shards.committing import ShardOutcome, commit_shard
from pipeline.shards.plan import PlannedClip, read_shard_plan
from pipeline.shards.policy import ClipPolicy
from pipeline.shards.probing import read_probe_group
from pipeline.shards.source_roots import BRING_BACK, SourceRoots, is_gone, read_source_roots
from pipeline.shards.tar import TarSample, arrays_npz
from pipeline.tables import document_bytes
from pipeline.video.copy import copy_spans
from pipeline.video.encode import encode_spans
from pipeline.video.groups import Span
from pipeline.video.open import open_video, upright_size
from pipeline.video.probe import VideoProbe
from pipeline.video.proof import prove_packets, prove_with_lead_in
from pipeline.video.reader import decode_clip


def cut_shard(root: str, shard: int, policy: ClipPolicy, crashed: Mapping[str, str]) -> ShardOutcome:
    """Cut, prove and commit one shard: first the tar, then errors, last the index.

    Args:
        crashed: clips (by key) that killed a worker, and what is to be said of them; they are not touched again.
    Raises: StorageError when bytes cannot be read or written just now; nothing is committed then.
    """
    return commit_shard(root, shard, _results(root, read_shard_plan(root, shard), policy, crashed))


def cut_clip(root: str, clip: PlannedClip, policy: ClipPolicy) -> None:
    """Cut one clip and forget it: whether it kills the process is all that the caller wants to know."""
    clip_is_good(root, clip, policy)


def clip_is_good(root: str, clip: PlannedClip, policy: ClipPolicy) -> bool:
    """Cut one clip and forget it: whether it can be cut."""
    return all(isinstance(result, TarSample) for _, result in _results(root, [clip], policy, {}))


def _results(
    root: str, planned: Sequence[PlannedClip], policy: ClipPolicy, crashed: Mapping[str, str]
) -> Iterator[tuple[PlannedClip, TarSample | DataError]]:
    """Every planned clip in order, with its sample or the reason why there is none."""
    roots = read_source_roots(root)
    for (number, source), group in groupby(planned, key=lambda clip: (clip.probe, clip.source)):
        clips = list(group)
        good = [_located(clip, roots) for clip in clips if clip.key not in crashed]
        probe = _probe_of(root, int(number or 0), source)
        cut = _in_order(_cut_source(good, probe, policy, folder=roots.root_of(clips[0].source_uri)), len(good))
        for clip in clips:
            begin_part(clip.key)
            yield clip, DataError(crashed[clip.key]) if clip.key in crashed else next(cut)


def _probe_of(root: str, number: int, source: str) -> VideoProbe:
    found = next((item.probe for item in read_probe_group(root, number) if item.source.relative_uri == source and item.probe), None)
    if found is None:
        raise DataError(
            f"{Layout(root).probe(number)}: it holds no probe of {source}, which is planned; make the dataset again into a new root"
        )
    return found


def _located(clip: PlannedClip, roots: SourceRoots) -> PlannedClip:
    """The clip with its files where they lie now."""
    camera = None if clip.camera_uri is None else roots.resolve(clip.camera_uri)
    return replace(clip, source_uri=roots.resolve(clip.source_uri), camera_uri=camera)


def _in_order(results: Iterator[tuple[int, TarSample | DataError]], count: int) -> Iterator[TarSample | DataError]:
    """Results by position: overlapping clips may be complete in another order than they begin."""
    early: dict[int, TarSample | DataError] = {}
    for position in range(count):
        while position not in early:
            done, result = next(results)
            early[done] = result
        yield early.pop(position)


def _cut_source(
    clips: Sequence[PlannedClip], probe: VideoProbe, policy: ClipPolicy, *, folder: str | None
) -> Iterator[tuple[int, TarSample | DataError]]:
    """Clips of one source, by position; `folder`: the source root that it lies below."""
    if not clips:
        return
    damage = [probe.damage_in(Span(int(clip.first_frame or 0), int(clip.num_frames or 0))) for clip in clips]
    yield from ((position, DataError(f"{clips[position].source}: {found}; {_FETCH}")) for position, found in enumerate(damage) if found)
    sound = [position for position, found in enumerate(damage) if not found]
    pending = set(sound)
    try:
        with border(clips[0].source):
            for place, data in _videos([clips[position] for position in sound], probe, policy) if sound else ():
                position = sound[place]
                pending.discard(position)
                yield position, data if isinstance(data, DataError) else _sample(clips[position], data, probe, policy)
            if pending:
                raise RuntimeError(f"{len(pending)} of {len(clips)} clips came to nothing, without an error")
    except (DataError, StorageError) as error:
        said = _missing(clips[0], folder) or error
        if isinstance(said, StorageError):
            raise said from error
        yield from ((position, said) for position in sorted(pending))


def _missing(clip: PlannedClip, folder: str | None) -> DataError | StorageError | None:
    """Error of a source that is not there any more: its clips are tried again, unless all of its folder is gone."""
    place = storage.unescape_name(clip.source_uri)
    if storage.exists(place):
        return None
    if folder is not None and is_gone(folder):
        return StorageError(f"{folder} is gone, and its sources with it, such as {clip.source_uri}; {BRING_BACK}")
    return MissingSourceError(f"{clip.source}: there is no file {clip.source_uri} any more; bring it back, and run the same command again")


_FETCH = "fetch it again or drop the span from the manifest"


def _videos(clips: Sequence[PlannedClip], probe: VideoProbe, policy: ClipPolicy) -> Iterator[tuple[int, bytes | DataError]]:
    spans = [Span(int(clip.first_frame or 0), int(clip.num_frames or 0)) for clip in clips]
    uri, name = storage.unescape_name(clips[0].source_uri), clips[0].source
    if clips[0].video == "copy":
        return copy_spans(uri, name, probe, spans)
    return encode_spans(uri, name, probe, spans, policy.encode)


def _sample(clip: PlannedClip, data: bytes, probe: VideoProbe, policy: ClipPolicy) -> TarSample | DataError:
    """The clip's members, once they are proven to show exactly the planned frames."""
    try:
        with border(f"clip {clip.key}"):
            record = _record(clip, data, probe)
            _prove(clip, data, record, probe=probe, policy=policy)
            arrays = None if clip.camera_uri is None else _camera_arrays(clip, record)
            return TarSample(record=record, video=data, document=document_bytes(record.document(), "clip"), arrays=arrays)
    except DataError as error:
        return error
    except StorageError as error:  # of the cameras' file: missing, it costs this clip
        if is_disk_full(error):
            raise
        return DataError(str(error))


def _prove(clip: PlannedClip, data: bytes, record: ClipRecord, *, probe: VideoProbe, policy: ClipPolicy) -> None:
    """Raises DataError unless what will be written shows exactly the planned frames, as a player would show them: by its packets if it
    was snapped to key frames, else by a decode."""
    try:
        if clip.video == "copy" and policy.snap == "key-frames":
            prove_packets(data, f"clip {clip.key}", record.timestamps)
        elif clip.video == "copy" and clip.lead_in:
            prove_with_lead_in(data, f"clip {clip.key}", record.timestamps, partial(_check_copied, probe=probe))
        else:
            for index, frame in enumerate(decode_clip(data, record)):
                if clip.video == "copy":
                    _check_copied(index, frame, probe)
    except DataError as error:
        remedy = "use --video h264 for it" if clip.video == "copy" else "fetch it again or drop it"
        raise DataError(f"{clip.source}: what was cut does not show the planned frames; {remedy} ({error})") from error


def _check_copied(index: int, frame: VideoFrame, probe: VideoProbe) -> None:
    """Check of traits that the source's first frames did not show, and that headers copied from its beginning would state wrongly."""
    if frame.interlaced_frame:
        raise DataError(f"frame {index} of the clip is interlaced")
    if upright_size(frame) != (probe.width, probe.height):
        found = "{}x{}".format(*upright_size(frame))
        raise DataError(f"frame {index} of the clip is {found}, the source began with {probe.width}x{probe.height}")


def _record(clip: PlannedClip, data: bytes, probe: VideoProbe) -> ClipRecord:
    first, count = int(clip.first_frame or 0), int(clip.num_frames or 0)
    times = probe.times_s[first : first + count]
    if clip.video == "copy":
        width, height, codec = probe.width, probe.height, probe.codec
    else:
        with open_video(data, f"clip {clip.key}") as (_, stream):
            width, height, codec = stream.width, stream.height, stream.codec_context.name
    return ClipRecord(
        key=clip.key,
        source=clip.source,
        source_id=clip.source_id,
        split=clip.split,
        start_s=float(times[0]),
        end_s=probe.time_after(first + count - 1),
        fps=round((count - 1) / float(times[-1] - times[0]) if count > 1 else 1 / probe.frame_s, 6),
        frames=count,
        width=width,
        height=height,
        codec=codec,
        video=clip.video,
        sha256=hashlib.sha256(data).hexdigest(),
        timestamps=tuple(float(time) for time in times),
        license=clip.license,
        pose_source=None if clip.camera_uri is None else "pseudo",
        notes=(*probe.notes, *probe.picture.notes(clip.video)),
        extra=json.loads(clip.extra),
    )


def _camera_arrays(clip: PlannedClip, record: ClipRecord) -> bytes:
    first, count = int(clip.first_frame or 0), int(clip.num_frames or 0)
    start = first - int(clip.span_first or 0)
    cameras = read_pseudo_cameras(
        storage.unescape_name(str(clip.camera_uri)),
        size=(record.height, record.width),
        span_frames=int(clip.span_frames or 0),
        frames=range(start, start + count),
    )
    return arrays_npz({"intrinsics": cameras.intrinsics, "camera_to_world": cameras.camera_to_world, "pose_valid": cameras.pose_valid})
