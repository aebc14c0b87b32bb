"""From manifest rows and probed sources to the planned clips: a pure function, source by source."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pipeline.errors import DataError
from pipeline.records import ClipSpec
from pipeline.records.clip import VideoMode
from pipeline.shards.errors_table import ErrorRow
from pipeline.shards.known import PlannedSource, PlannedSources, Window
from pipeline.shards.plan import PlannedClip, extra_json
from pipeline.shards.policy import ClipPolicy, clip_key, split_of
from pipeline.shards.probing import ProbedSource, Source
from pipeline.shards.source_roots import SourceRoots
from pipeline.shards.windows import frames_of, snapped_windows, split_at, windows_of
from pipeline.video.copy import COPYABLE_CODECS
from pipeline.video.groups import Span
from pipeline.video.probe import VideoProbe
from pipeline.video.timeline import remake

_ENCODED_BITS_PER_PIXEL = 0.25  # of x264 at our settings, for the size estimate only
# CPU seconds on one core, from 720p H.264: 2.6 ms of decoding, 2.3 ms of area scaling, 7.8 ms for a whole re-encode to 512x384.
# Per frame and megapixel of the source: a decode (the proof of a copied clip), and a decode with scaling; per encoded frame: x264 at a
# long side of 512, and the decode that proves it; per frame that is copied: its packets.
_DECODE_S, _DECODE_AND_SCALE_S, _ENCODE_S, _PACKET_S = 0.003, 0.005, 0.004, 0.0001
_HALF = 16  # hex digits of the bounds, then as many of the other columns, in `rows_sha256`


@dataclass(slots=True)
class Planner:
    """Planner of clips, one source after the other; sources that cannot be planned become errors.

    What is planned already stays; a known source's new windows are numbered after its last.
    """

    specs: Mapping[str, Sequence[ClipSpec]]  # relative uri -> its manifest rows
    policy: ClipPolicy
    planned: PlannedSources
    roots: SourceRoots
    errors: list[ErrorRow] = field(default_factory=list)

    def plan(self, probed: Iterable[tuple[int, ProbedSource]]) -> Iterator[PlannedClip]:
        """New clips of all sources (each with the number of its probe table), not numbered into shards yet; `limit` is kept."""
        left = None if self.policy.limit is None else self.policy.limit - self.planned.num_clips
        for number, item in probed:
            clips = self._clips_of(number, item)
            if left is not None and len(clips) > left:
                yield from (_left_open(clip) for clip in clips[: max(left, 0)])
                return
            left = None if left is None else left - len(clips)
            yield from clips

    def _clips_of(self, number: int, item: ProbedSource) -> list[PlannedClip]:
        name = item.source.relative_uri
        if item.probe is None:
            self._fail("probe", name, DataError(item.error))
            return []
        probe, known = item.probe, self.planned[name]
        if probe.lost:
            self._fail("probe", name, DataError(f"{name}: {probe.lost}"))
        windows = [(spec, span, window) for spec, span in self._spans_of(name, probe) for window in self._windows_of(spec, span, item)]
        keys = [Window(window.first, window.count, span.first, span.count) for _, span, window in windows]
        windows = [windows[place] for place in known.without_planned(keys)]
        if not windows:
            return []
        try:
            video = self._video_of(known, [window for _, _, window in windows], probe)
        except DataError as error:
            anew = f", or {remake(name, None, index=probe.stream)}" if probe.repaired else ""
            self._fail("plan", name, DataError(f"{name}: {error}{anew}"))
            return []
        return [
            self._planned(number, item, window=window, key=clip_key(name, known.next_number + place), video=video, known=known)
            for place, window in enumerate(windows)
        ]

    def _video_of(self, known: PlannedSource, windows: Sequence[Span], probe: VideoProbe) -> VideoMode:
        """One video mode for all clips of a source, where there is a choice: a source that was encoded before is encoded again."""
        return "h264" if known.video == "h264" else video_mode(windows, probe, self.policy)

    def _planned(
        self, number: int, item: ProbedSource, *, window: tuple[ClipSpec, Span, Span], key: str, video: VideoMode, known: PlannedSource
    ) -> PlannedClip:
        (spec, span, frames), probe = window, item.probe
        assert probe is not None, "only probed sources have windows"
        source_id = known.source_id or spec.source_id
        return PlannedClip(
            shard=0,
            key=key,
            source=spec.relative_uri,
            source_uri=self._reference(item.source.uri),
            source_id=source_id,
            split=split_of(source_id, self.policy.split_shares),
            license=spec.license,
            probe=number,
            first_frame=frames.first,
            num_frames=frames.count,
            lead_in=probe.lead_in(frames.first) if video == "copy" else 0,
            span_first=span.first,
            span_frames=span.count,
            video=video,
            estimated_bytes=estimated_bytes(frames, probe, video, self.policy),
            estimated_cpu_s=estimated_cpu_s(frames, probe, video, self.policy),
            camera_uri=None if spec.camera_uri is None else self._reference(spec.camera_uri),
            extra=extra_json(spec.extra),
            rows_sha256=rows_digest(self.specs[spec.relative_uri]),
        )

    def _reference(self, uri: str) -> str:
        return self.roots.reference(uri) or uri

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


def _left_open(clip: PlannedClip) -> PlannedClip:
    """A clip of a source of which a limit leaves others out: the next run looks at the source again."""
    return replace(clip, rows_sha256=None)


def rows_digest(specs: Sequence[ClipSpec]) -> str:
    """32 hex digits of a source's manifest rows: half of their bounds, half of their other columns."""
    ordered = sorted(specs, key=lambda spec: (spec.start_s or 0, spec.start_frame or 0, spec.end_s or 0, spec.end_frame or 0))
    bounds = [[spec.start_s, spec.end_s, spec.start_frame, spec.end_frame] for spec in ordered]
    others = [[spec.license, spec.camera_uri is not None, extra_json(spec.extra)] for spec in ordered]
    return "".join(hashlib.sha256(json.dumps(part).encode()).hexdigest()[:_HALF] for part in (bounds, others))


def same_bounds(digest: str | None, other: str) -> bool:
    """Whether two digests are of rows that ask for the same frames."""
    return digest is not None and digest[:_HALF] == other[:_HALF]


def sources_of(specs: Sequence[ClipSpec]) -> list[Source]:
    """The distinct videos of a manifest, sorted by relative uri: the order of everything that follows."""
    by_name = {spec.relative_uri: spec for spec in specs}
    return [Source(uri=spec.source_uri, relative_uri=name, fps=spec.fps) for name, spec in sorted(by_name.items())]


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


def video_mode(windows: Sequence[Span], probe: VideoProbe, policy: ClipPolicy) -> VideoMode:
    """copy or h264, for all clips of a source.

    `auto` copies where every clip is a run of packets of its own (`DecodingOrder.whole`: begins at a key frame that needs no lead-in,
    ends without stragglers), so that every reader sees exactly its frames, and the pictures need no work (HDR, interlaced, other than
    square pixels, mirrored, a change within the source). Clips that damage touches are not asked.
    Raises: DataError if the policy says copy, and mp4 cannot hold the codec, the times are not the packets' own, or a copy would not
        show what a player shows.
    """
    copyable = probe.codec in COPYABLE_CODECS
    if policy.video == "copy" and probe.repaired:
        raise DataError("its times are repaired, and its packets carry other ones; use --video auto or h264")
    if policy.video == "copy" and not copyable:
        raise DataError(f"{probe.codec} video cannot be copied into mp4; use --video auto or h264")
    if policy.video == "copy":
        probe.picture.check_copy()
        return "copy"
    if policy.video == "h264" or not copyable or probe.repaired or probe.breaks or probe.picture.needs_encoding:
        return "h264"
    order = probe.order
    return "copy" if all(order.whole(window) or probe.damage_in(window) for window in windows) else "h264"


def estimated_bytes(window: Span, probe: VideoProbe, video: str, policy: ClipPolicy) -> int:
    """Bytes of a clip before it is cut: the source's mean for copied frames, a fixed rate for encoded ones."""
    if video == "copy":
        return round(probe.video_bytes / probe.num_frames * (window.count + probe.lead_in(window.first)))
    width, height = policy.encode.size(*probe.shown_size)
    return round(width * height * window.count * _ENCODED_BITS_PER_PIXEL / 8)


def estimated_cpu_s(window: Span, probe: VideoProbe, video: str, policy: ClipPolicy) -> float:
    """CPU seconds of cutting a clip on one core: copied by its packets, copied and decoded in proof, or re-encoded."""
    megapixels = probe.width * probe.height / 1e6
    if video != "copy":
        return round(window.count * (_DECODE_AND_SCALE_S * megapixels + _ENCODE_S), 3)
    proof = 0.0 if policy.snap == "key-frames" else _DECODE_S * megapixels
    return round((window.count + probe.lead_in(window.first)) * (_PACKET_S + proof), 3)
