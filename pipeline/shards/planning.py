"""From manifest rows and probed sources to the planned clips: a pure function, source by source."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from pipeline.errors import DataError
from pipeline.records import ClipSpec
from pipeline.shards.errors_table import ErrorRow
from pipeline.shards.keys import clip_key, split_of
from pipeline.shards.plan import PlannedClip, assign_shards, extra_json
from pipeline.shards.policy import ClipPolicy
from pipeline.shards.probing import ProbedSource, Source
from pipeline.shards.windows import frames_of, snapped_windows, split_at, windows_of
from pipeline.video.copy import COPYABLE_CODECS
from pipeline.video.probe import VideoProbe
from pipeline.video.spans import Span

_ENCODED_BITS_PER_PIXEL = 0.25  # of x264 at our settings, for the size estimate only


def sources_of(specs: Sequence[ClipSpec]) -> list[Source]:
    """The distinct videos of a manifest, sorted by relative uri: the order of everything that follows."""
    uris = {spec.relative_uri: spec.source_uri for spec in specs}
    return [Source(uri=uris[relative_uri], relative_uri=relative_uri) for relative_uri in sorted(uris)]


@dataclass(slots=True)
class Planner:
    """Plans the clips of one source after the other, and keeps what could not be planned."""

    specs: Mapping[str, Sequence[ClipSpec]]  # relative uri -> its manifest rows
    policy: ClipPolicy
    errors: list[ErrorRow] = field(default_factory=list)

    def plan(self, probed: Iterator[tuple[int, ProbedSource]]) -> Iterator[PlannedClip]:
        """Clips of all sources (each with the number of its probe table), numbered into shards."""
        clips = (clip for number, item in probed for clip in self._clips_of(number, item))
        return assign_shards(
            islice(clips, self.policy.limit), clips_per_shard=self.policy.clips_per_shard, bytes_per_shard=self.policy.bytes_per_shard
        )

    def _clips_of(self, number: int, item: ProbedSource) -> Iterator[PlannedClip]:
        if item.probe is None:
            self._fail("probe", item.source.relative_uri, DataError(item.error))
            return
        if item.probe.lost:
            self._fail("probe", item.source.relative_uri, DataError(f"{item.source.relative_uri}: {item.probe.lost}"))
        windows = [
            (spec, span, window)
            for spec, span in self._spans_of(item.source.relative_uri, item.probe)
            for window in self._windows_of(spec, span, item)
        ]
        try:
            video = video_mode([window for _, _, window in windows], item.probe, self.policy)
        except DataError as error:
            self._fail("plan", item.source.relative_uri, DataError(f"{item.source.relative_uri}: {error}"))
            return
        for place, (spec, span, window) in enumerate(windows):
            yield PlannedClip(
                shard=0,
                key=clip_key(spec.relative_uri, place),
                source=spec.relative_uri,
                source_uri=item.source.uri,
                source_id=spec.source_id,
                split=split_of(spec.source_id, self.policy.split_shares),
                license=spec.license,
                probe=number,
                first_frame=window.first,
                num_frames=window.count,
                lead_in=item.probe.lead_in(window.first) if video == "copy" else 0,
                span_first=span.first,
                span_frames=span.count,
                video=video,
                estimated_bytes=estimated_bytes(window, item.probe, video, self.policy),
                camera_uri=spec.camera_uri,
                extra=extra_json(spec.extra),
            )

    def _spans_of(self, source: str, probe: VideoProbe) -> list[tuple[ClipSpec, Span]]:
        spans = []
        for spec in self.specs[source]:
            try:
                span = frames_of(spec, probe)
                if span.count < self.policy.min_frames:
                    raise DataError(
                        f"{spec.where}: {span.count} frames, fewer than --min-frames {self.policy.min_frames}; drop it or lower the limit"
                    )
                spans.append((spec, span))
            except DataError as error:
                self._fail("plan", spec.relative_uri, error)
        return sorted(spans, key=lambda pair: (pair[1].first, pair[1].count))

    def _windows_of(self, spec: ClipSpec, span: Span, item: ProbedSource) -> list[Span]:
        scenes = split_at(span, item.no_clip_across)
        windows = [window for scene in scenes for window in _cut_scene(scene, item, self.policy)]
        if not windows and self.policy.snap == "none":
            reason = f"every scene is shorter than --min-frames {self.policy.min_frames}; lower it"
            self._fail("plan", spec.relative_uri, DataError(f"{spec.where}: {reason}"))
        elif not windows:
            reason = "no clip can begin and end at its key frames (open groups of pictures, or too short ones); leave out --snap for it"
            self._fail("plan", spec.relative_uri, DataError(f"{spec.where}: {reason}"))
        return windows

    def _fail(self, stage: str, source: str, error: DataError) -> None:
        self.errors.append(ErrorRow.of(error, stage=stage, key="", source=source))


def group_specs(specs: Sequence[ClipSpec]) -> dict[str, list[ClipSpec]]:
    """Manifest rows by source."""
    by_source: dict[str, list[ClipSpec]] = defaultdict(list)
    for spec in specs:
        by_source[spec.relative_uri].append(spec)
    return dict(by_source)


def _cut_scene(scene: Span, item: ProbedSource, policy: ClipPolicy) -> list[Span]:
    if policy.snap == "key-frames" and item.probe is not None:
        return snapped_windows(scene, item.probe.order, policy.clip_frames, policy.min_frames)
    return windows_of(scene, policy.clip_frames, policy.clip_stride or policy.clip_frames, policy.min_frames)


def video_mode(windows: Sequence[Span], probe: VideoProbe, policy: ClipPolicy) -> str:
    """copy or h264, for all clips of a source.

    `auto` copies where every clip is a run of packets of its own (`DecodingOrder.whole`: begins at a key frame that needs no lead-in,
    ends without stragglers), so that every reader sees exactly its frames. Clips that damage touches are not asked.
    Raises: DataError if the policy says copy, and mp4 cannot hold the codec or the times are not the packets' own.
    """
    copyable = probe.codec in COPYABLE_CODECS
    if policy.video == "copy" and probe.repaired:
        raise DataError("its times are repaired, and its packets carry other ones; use --video auto or h264")
    if policy.video == "copy" and not copyable:
        raise DataError(f"{probe.codec} video cannot be copied into mp4; use --video auto or h264")
    if policy.video != "auto":
        return policy.video
    if not copyable or probe.repaired:
        return "h264"
    order = probe.order
    return "copy" if all(order.whole(window) or probe.damage_in(window) for window in windows) else "h264"


def estimated_bytes(window: Span, probe: VideoProbe, video: str, policy: ClipPolicy) -> int:
    """Bytes of a clip before it is cut: the source's mean for copied frames, a fixed rate for encoded ones."""
    if video == "copy":
        return round(probe.video_bytes / probe.num_frames * (window.count + probe.lead_in(window.first)))
    width, height = policy.encode.size(probe.width, probe.height)
    return round(width * height * window.count * _ENCODED_BITS_PER_PIXEL / 8)
