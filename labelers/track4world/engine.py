"""Track4World on clips: from one frame to all others by overlapping windows, and between pairs of frames."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from labelers.track4world.config import EngineConfig, WindowPlan, plan_windows
from labelers.track4world.targets import ClipGeometry, PairFlow, TargetMaps, align_to_targets, lift_targets
from networks.layers.computing import arithmetic
from networks.track4world.bundle import GeometryBundle, Padding
from networks.track4world.features import AnchorState, DenseFlow, FrameFeatures, Window
from networks.track4world.network import Track4World
from pipeline.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class EncodedClip:
    """One clip of T frames, and perhaps copies of its last one, ready for the decoder."""

    features: FrameFeatures  # "T+copies ..."
    geometry: ClipGeometry  # of the T frames
    padding: Padding


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ReferenceMaps:
    """Part of the tracks of one frame's pixels: their targets in some frames of the clip."""

    frames: tuple[int, ...]  # of the clip, one per target
    maps: TargetMaps  # frame numbers of its own run
    geometry: ClipGeometry  # of that run, whose frame 0 is the reference

    def without_first(self) -> "ReferenceMaps":
        """The same, less its first frame."""
        return replace(self, frames=self.frames[1:], maps=self.maps.without_first())


class Track4WorldEngine:
    """Runs a model, wherever its weights are. Holds no state of a clip."""

    def __init__(self, model: Track4World, config: EngineConfig | None = None) -> None:
        self.model = model.eval()
        self.config = config or EngineConfig()

    def track_frame(self, frames: np.ndarray, reference: int = 0, bundle: GeometryBundle | None = None) -> Iterator[ReferenceMaps]:
        """Tracks of all pixels of one frame: to the clip's end, then backward to its start, each a run of its own.

        Args:
            frames: uint8 "T H W 3", RGB.
            reference: frame whose pixels are tracked.
            bundle: geometry of the T frames, batch of 1; None for the backbone's, of the frames of each run.
        Yields: parts of at most a window; every frame of the clip once, less the reference itself where no run has three frames. Under
            `later_windows` "restart" a later part replaces an earlier one. Without `bundle` each run has its own unit and world.
        Raises: DataError for a clip of one frame, a reference outside the clip, or images too small.
        """
        num_frames = len(frames)
        if num_frames < 2 or not 0 <= reference < num_frames:
            raise DataError(f"frame {reference} of a clip of {num_frames} frames: 2 frames or more are needed, and one of them")
        forward, backward = list(range(reference, num_frames)), list(range(reference, -1, -1))
        for run in (forward, backward):
            if len(run) < 2:
                continue
            given = None if bundle is None else bundle.frames(torch.tensor(run, device=bundle.points.device))
            for part in self.track_first(frames[run], given):
                known = run is backward and len(forward) > 2 and part.frames[0] == 0  # the reference, of which forward has spoken
                chosen = part.without_first() if known else part
                yield replace(chosen, frames=tuple(run[frame] for frame in chosen.frames))

    def track_first(self, frames: np.ndarray, bundle: GeometryBundle | None = None) -> Iterator[ReferenceMaps]:
        """One run of `track_frame`: from the first frame to all; of two frames, to the second alone.

        Args:
            frames: uint8 "T H W 3", T of 2 or more.
            bundle: geometry of these frames, or of these and the copies of the last one that the windows need.
        """
        if len(frames) == 2:
            clip = self.encode(frames, bundle)
            flows: Iterator[PairFlow] = self._pair_flows(clip, [(0, 1)])
        else:
            plan = plan_windows(len(frames), self.config.window or self.model.config.seqlen)
            clip = self.encode(frames, bundle, num_copies=plan.num_copies)
            flows = self._window_flows(clip, plan)
        for flow in flows:
            maps = lift_targets(flow, clip.geometry, pixel_offset=self.config.pixel_offset)
            yield ReferenceMaps(frames=maps.targets, maps=maps, geometry=clip.geometry)

    def track_pairs(self, clip: EncodedClip, pairs: Sequence[tuple[int, int]] | None = None, *, align: bool = True) -> Iterator[TargetMaps]:
        """Tracks of all pixels between pairs of frames, each pair by itself.

        Args:
            clip: by `encode`, without copies.
            pairs: (source, target), forward or backward, of any distance; None for all (t, t + 1).
            align: scale and shift a pair's 3D flow onto its target's points, and lower the confidence of what still disagrees.
        Yields: in the pairs' order, `pairs_at_once` of them.
        Raises: DataError for a frame outside the clip.
        """
        num_frames = len(clip.geometry.points)
        chosen = [(t, t + 1) for t in range(num_frames - 1)] if pairs is None else list(pairs)
        outside = [pair for pair in chosen if not all(0 <= frame < num_frames for frame in pair)]
        if outside:
            raise DataError(f"pair {outside[0]} of a clip of {num_frames} frames; frames are 0 to {num_frames - 1}")
        for flow in self._pair_flows(clip, chosen):
            aligned = align_to_targets(flow, clip.geometry) if align else flow
            yield lift_targets(aligned, clip.geometry, pixel_offset=self.config.pixel_offset)

    def geometry(self, frames: np.ndarray) -> GeometryBundle:
        """The backbone's geometry of a clip, uint8 "T H W 3", RGB, by one call. Raises ConfigError where there is no backbone."""
        images = self._images(frames)
        with arithmetic(images.device, self.config.precision):
            return self.model.geometry(images)

    def encode(self, frames: np.ndarray, bundle: GeometryBundle | None = None, *, num_copies: int = 0) -> EncodedClip:
        """Features of a clip, by one call of the backbone, however long it is.

        Args:
            frames: uint8 "T H W 3", RGB.
            bundle: geometry of the frames, or of frames and copies; None for the backbone's.
            num_copies: of the last frame, behind the clip; the backbone sees them too.
        Raises: DataError where frames and bundle do not fit; ConfigError without bundle and backbone.
        """
        num_frames = len(frames)
        images = self._images(frames[np.arange(num_frames + num_copies).clip(max=num_frames - 1)])
        padding = Padding(height=images.shape[-2], width=images.shape[-1])
        if bundle is not None and bundle.num_frames == num_frames:
            bundle = bundle.repeat_last(num_copies)
        with arithmetic(images.device, self.config.precision):
            whole = self.model.geometry(images) if bundle is None else bundle
            features = self.model.encode(images, whole)[0]
        return EncodedClip(features=features, geometry=ClipGeometry.of_bundle(whole, padding, num_frames), padding=padding)

    def _images(self, frames: np.ndarray) -> Tensor:
        """Frames uint8 "T H W 3" as images "1 T 3 H W" in [0, 1], where the weights are."""
        images = torch.from_numpy(np.ascontiguousarray(frames)).to(self.model.dot_fc1.weight.device)
        return images.permute(0, 3, 1, 2)[None].float() / 255

    def _window_flows(self, clip: EncodedClip, plan: WindowPlan) -> Iterator[PairFlow]:
        """From frame 0 to all, window by window; flows pass from each window to the next, visibility and features do not."""
        num_frames, restart = len(clip.geometry.points), self.config.later_windows == "restart"
        state: AnchorState | None = None
        for number, start in enumerate(plan.starts):
            window = Window(
                source=clip.features[:1],
                targets=clip.features[None, start : start + plan.length],
                flow=None if state is None else _continued(state.flow, plan.step, restart=restart),
                flow3d=None if state is None else _continued(state.flow3d, plan.step, restart=restart),
            )
            written = slice(0, plan.length) if restart else plan.new_frames(number)
            places = [place for place in range(plan.length)[written] if start + place < num_frames]
            state, dense = self._run(window, clip.padding)
            targets = tuple(start + place for place in places)
            if targets:
                yield PairFlow(
                    sources=(0,) * len(targets),
                    targets=targets,
                    flow=dense.flow[0, places],
                    flow3d=dense.flow3d[0, places],
                    visconf=dense.visconf[0, places],
                )

    def _pair_flows(self, clip: EncodedClip, pairs: Sequence[tuple[int, int]]) -> Iterator[PairFlow]:
        for first in range(0, len(pairs), self.config.pairs_at_once):
            sources, targets = zip(*pairs[first : first + self.config.pairs_at_once], strict=True)
            window = Window(source=clip.features[list(sources)], targets=clip.features[list(targets), None])
            dense = self._run(window, clip.padding)[1]
            yield PairFlow(sources=sources, targets=targets, flow=dense.flow[:, 0], flow3d=dense.flow3d[:, 0], visconf=dense.visconf[:, 0])

    def _run(self, window: Window, padding: Padding) -> tuple[AnchorState, DenseFlow]:
        """The last iteration's state and flow. Earlier ones are not upsampled."""
        with arithmetic(window.source.points.device, self.config.precision):
            *_, state = self.model.iterate(window, self.config.iterations)
            return state, self.model.upsample(state, padding, window.num_targets)


def _continued(flow: Tensor, step: int, *, restart: bool) -> Tensor:
    """Flow "S C h w" at a window's start: the last window's second half, then its last target's, or no motion."""
    known = flow[step:]
    rest = flow[-1:].expand(step, -1, -1, -1)
    return torch.cat([known, torch.zeros_like(rest) if restart else rest])
