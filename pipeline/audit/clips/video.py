"""Measures of a clip by its picture, before anything is labelled: one pass over its frames, at low resolution."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from pipeline.audit.clips import borders, camera, credits, cuts, luma, overlay, stillness
from pipeline.audit.clips.camera import follow_corners
from pipeline.audit.clips.small import PixelStatistics, SmallFrame, known_max, known_median, known_min, shrink
from pipeline.errors import DataError
from pipeline.records import FrameReader

MEASURES_VERSION = "video-2"  # another one where a formula or a constant in it changed


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoMeasures:
    """Measures of one clip. NaN: too little data to tell. Pixels are those of a long side of 256.

    Source: the per-clip measures of the label quality specification; each module of this package states its formulas.
    """

    num_frames: int
    fps: float  # from the median step between frames
    luma_mean: float  # grey levels
    dark_share: float  # of all pixels, below 32
    blank_share: float  # of frames
    exposure_step: float  # largest relative change of the mean luma between frames
    thumb_correlation_min: float  # between frames
    corner_survival_min: float  # between frames: share found again
    histogram_jump_max: float  # between frames
    cut_frames: tuple[int, ...]  # frames that begin another scene
    displacement_px: float  # median over corners and pairs 8 frames apart (fewer in a shorter clip)
    thumb_change_max: float  # grey levels: of a cell of a 32 x 24 thumb since frame 0, beyond the median cell's
    duplicate_share: float  # of steps
    border_top: float  # bars, shares of the height
    border_bottom: float
    border_left: float  # shares of the width
    border_right: float
    letterbox_share: float  # of the area
    overlay_share: float  # of the area
    text_vertical_std_px: float  # per frame, over textured points
    text_vertical_px: float
    text_horizontal_px: float
    pan_px: float  # median per frame
    pan_width_share: float  # the same as a share of the width
    roll_deg: float  # median of the absolute value per frame
    zoom_percent: float  # median of the absolute value per frame
    path_px: float  # sum of the pans: how far the picture travelled
    homography_share: float  # of corners 8 frames on, median over pairs
    epipolar_share: float
    homography_residual_px: float


@dataclass(slots=True, eq=False)
class _Pass:
    """State of the pass: numbers per frame, and few of the frames."""

    num_frames: int
    fps: float
    statistics: PixelStatistics
    first: SmallFrame
    recent: list[SmallFrame] = field(default_factory=list)  # the last two
    anchor: SmallFrame | None = None
    histogram: np.ndarray | None = None
    lumas: list[luma.FrameLuma] = field(default_factory=list)
    correlations: list[float] = field(default_factory=list)
    over_one: list[float] = field(default_factory=list)
    survivals: list[float] = field(default_factory=list)
    histogram_jumps: list[float] = field(default_factory=list)
    changes: list[stillness.FrameChange] = field(default_factory=list)
    changes_since_first: list[float] = field(default_factory=list)
    displacements: list[float] = field(default_factory=list)
    text: list[credits.TextFlow] = field(default_factory=list)
    motions: list[camera.StepMotion] = field(default_factory=list)
    pairs: list[camera.CameraPairGeometry] = field(default_factory=list)

    def add(self, frame: SmallFrame) -> None:
        """The next frame. Raises DataError if it is of another size than the first."""
        t = len(self.lumas)
        if frame.rgb.shape != self.first.rgb.shape:
            raise DataError(f"frame {t} is {list(frame.rgb.shape)} made small, the first {list(self.first.rgb.shape)}; cut the clip again")
        self.statistics.add(frame.grey)
        self.lumas.append(luma.frame_luma(frame.grey))
        histogram = cuts.colour_histogram(frame.rgb)
        if self.recent:
            self._step(self.recent[-1], frame)
            self.histogram_jumps.append(cuts.histogram_jump(cast(np.ndarray, self.histogram), histogram))
        if len(self.recent) == 2:
            self.over_one.append(cuts.thumb_correlation(self.recent[0].thumb, frame.thumb))
        if t % max(1, min(stillness.STILL_GAP, self.num_frames - 1)) == 0:
            if self.anchor is not None:
                self._pair(self.anchor, frame)
            self.anchor = frame
        self.recent, self.histogram = [*self.recent[-1:], frame], histogram

    def _step(self, before: SmallFrame, after: SmallFrame) -> None:
        corners = follow_corners(before.grey, after.grey)
        self.correlations.append(cuts.thumb_correlation(before.thumb, after.thumb))
        self.survivals.append(corners.survival)
        self.changes.append(stillness.frame_change(before, after))
        self.changes_since_first.append(stillness.local_change(self.first, after))
        self.text.append(credits.step_flow(corners, after.to_raster))
        self.motions.append(camera.step_motion(corners, *after.grey.shape))

    def _pair(self, before: SmallFrame, after: SmallFrame) -> None:
        corners = follow_corners(before.grey, after.grey)
        self.displacements.append(stillness.displacement(corners) * after.to_raster)
        self.pairs.append(camera.pair_geometry(corners))

    def measures(self) -> VideoMeasures:
        """Results of the finished pass."""
        bars, text = borders.find_borders(self.statistics), credits.text_flow(self.text)
        scale, width = self.first.to_raster, self.first.grey.shape[1]
        pans = np.array([motion.pan_px for motion in self.motions])
        return VideoMeasures(
            num_frames=len(self.lumas),
            fps=self.fps,
            luma_mean=float(np.mean([each.mean for each in self.lumas])),
            dark_share=float(np.mean([each.dark_share for each in self.lumas])),
            blank_share=luma.blank_share(self.lumas),
            exposure_step=luma.exposure_step(self.lumas),
            thumb_correlation_min=known_min(self.correlations),
            corner_survival_min=known_min(self.survivals),
            histogram_jump_max=known_max(self.histogram_jumps),
            cut_frames=cuts.cut_frames(self.correlations, self.over_one, self.survivals),
            displacement_px=known_median(self.displacements),
            thumb_change_max=known_max(self.changes_since_first),
            duplicate_share=stillness.duplicate_share(self.changes),
            border_top=bars.top,
            border_bottom=bars.bottom,
            border_left=bars.left,
            border_right=bars.right,
            letterbox_share=bars.share,
            overlay_share=overlay.overlay_share(self.statistics, bars),
            text_vertical_std_px=text.vertical_std,
            text_vertical_px=text.vertical_mean,
            text_horizontal_px=text.horizontal_mean,
            pan_px=known_median(pans * scale),
            pan_width_share=known_median(pans / width),
            roll_deg=known_median([abs(motion.roll_deg) for motion in self.motions]),
            zoom_percent=known_median([100 * abs(motion.zoom) for motion in self.motions]),
            path_px=float(np.nansum(pans) * scale) if np.isfinite(pans).any() else float("nan"),
            homography_share=known_median([pair.homography_share for pair in self.pairs]),
            epipolar_share=known_median([pair.epipolar_share for pair in self.pairs]),
            homography_residual_px=known_median([pair.residual_px * scale for pair in self.pairs]),
        )


def measure_video(frames: FrameReader, *, fps: float = float("nan")) -> VideoMeasures:
    """All measures of one clip, from its picture alone, reading its frames once and keeping four of them, shrunk.

    Args:
        frames: RGB of any size; a reader that gives small frames (long side 256) saves the shrinking.
        fps: the clip's rate, from `frame_rate`; NaN where it is not known.
    Raises: DataError if it gives no frame, or frames of changing size.
    """
    state: _Pass | None = None
    for frame in frames:
        small = shrink(frame)
        if state is None:
            state = _Pass(num_frames=frames.shape[0], fps=fps, statistics=PixelStatistics(*small.grey.shape), first=small)
        state.add(small)
    if state is None:
        raise DataError("the clip has no frames; cut it again")
    return state.measures()


def frame_rate(timestamps: Sequence[float]) -> float:
    """1 / median step between frames, in frames per second, to a thousandth; NaN for a single frame. A single pause does not change it.

    Args:
        timestamps: seconds, increasing, one per frame.
    """
    return round(1 / known_median(np.diff(timestamps)), 3)
