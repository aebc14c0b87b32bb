"""Labelers by OpenCV's optical flow, without weights: dis-flow, dense, and lucas-kanade, each point by its own window.

dis-flow's cost hardly depends on the number of points; lucas-kanade is the independent second opinion.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import cv2
import numpy as np

from labelers.chain import LinkRule, RoundTripRule, Step
from labelers.chain_visibility import DIS_FLOW_FIT, DIS_FLOW_JUMPS, VisibilityFit
from labelers.chained import ChainedLabeler
from labelers.options import check_choice, check_count, check_number
from pipeline.errors import ConfigError, DataError
from pipeline.records import ClipFrames

PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}
MIN_SIDE = {"ultrafast": 32, "fast": 32, "medium": 16}  # pixels: a patch at the finest scale; on thinner images OpenCV may crash


@dataclass(frozen=True, kw_only=True)
class DisFlowLabeler(ChainedLabeler):
    """Chained DIS optical flow, OpenCV's implementation and presets, computed once per pair of frames and direction.

    Memory: the grey frames of the clip (T H W bytes), and the flows (16 H W bytes per pair of frames) within `memory_mb`. Where
    tracks run one way only (queries on the first frame, no re-seeding) one pair is held at a time. A pair that did not fit is
    computed again when the chain comes back to it: the labels are the same.

    Source: Kroeger, Timofte, Dai, Van Gool, Fast Optical Flow using Dense Inverse Search, ECCV 2016.
    """

    name: ClassVar[str] = "dis-flow"

    blur_px: float = 0.8
    preset: Literal["ultrafast", "fast", "medium"] = "medium"
    memory_mb: float = field(default=512, metadata={"changes_labels": False})
    # checked: visible where links pass the round trip; fitted: where a fit on the whole chain says so, with jumps=[1, 2, 4, 8]
    visibility_rule: Literal["checked", "fitted"] = field(default="checked", metadata={"left_out_at": "checked"})

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("preset", self.preset, tuple(PRESETS))
        check_number("memory_mb", self.memory_mb, minimum=0.0)
        check_choice("visibility_rule", self.visibility_rule, ("checked", "fitted"))
        fitted_for = (LinkRule(lengths=DIS_FLOW_JUMPS), RoundTripRule())
        if self.visibility_rule == "fitted" and (self._links(), self._rule()) != fitted_for:
            raise ConfigError(
                f"visibility_rule=fitted was fitted on chains of jumps={list(DIS_FLOW_JUMPS)} without strain_limit, with round_trip_px and"
                " round_trip_share as they come; give these, or visibility_rule=checked"
            )

    def _fit(self) -> VisibilityFit | None:
        return DIS_FLOW_FIT if self.visibility_rule == "fitted" else None

    def _visibility_rule(self) -> str:
        checked = super()._visibility_rule()
        if self.visibility_rule == "checked":
            return checked
        return (
            "visible at the query, and inside the image where a logistic fit on the chain's strain, round trip, links, times and speed"
            f" gives more than {DIS_FLOW_FIT.threshold:g} that the point is seen and within 8 px of 256 (fit 1); the chain: {checked}"
        )

    def _motion(self, grey: np.ndarray, clip: ClipFrames) -> "FlowField":
        height, width = grey.shape[1:]
        if min(height, width) < MIN_SIDE[self.preset]:
            raise DataError(
                f"clip {clip.key}: frames are {width}x{height}, dis-flow ({self.preset}) needs {MIN_SIDE[self.preset]} px both ways;"
                " label the clip with lucas-kanade"
            )
        comes_back = self.reseed_below > 0 or bool((clip.queries[:, 0] > 0).any())
        return FlowField(grey, PRESETS[self.preset], int(self.memory_mb * 2**20) if comes_back else 0)


class FlowField:
    """The flows of one clip, computed when first asked for and kept within a budget, the last used longest."""

    def __init__(self, grey: np.ndarray, preset: int, memory_bytes: int) -> None:
        num_frames, height, width = grey.shape
        self.shape = (num_frames, height, width)
        self._grey = grey
        self._dis = cv2.DISOpticalFlow.create(preset)
        self._pairs: OrderedDict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = OrderedDict()
        self._max_pairs = max(1, memory_bytes // (16 * height * width))

    def step(self, start: int, end: int, points: np.ndarray) -> Step:
        """Move points "M 2" by the flow from frame `start` to frame `end`, and back by the flow the other way."""
        flows = self._pair(min(start, end), max(start, end))
        there, back = flows if start < end else flows[::-1]
        moved = points + sample_flow(there, points)
        return Step(moved_px=moved, returned_px=moved + sample_flow(back, moved), found=np.ones(len(points), bool))

    def _pair(self, earlier: int, later: int) -> tuple[np.ndarray, np.ndarray]:
        """Flows "H W 2" between two frames: forth and back."""
        pair = self._pairs.pop((earlier, later), None)
        if pair is None:
            first, second = self._grey[earlier], self._grey[later]
            pair = (self._flow(first, second), self._flow(second, first))
        self._pairs[earlier, later] = pair
        while len(self._pairs) > self._max_pairs:
            self._pairs.popitem(last=False)
        return pair

    def _flow(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.asarray(self._dis.calc(first, second, None))  # type: ignore[call-overload]  # the stub forbids "no initial flow"


def sample_flow(flow: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Flow "H W 2" at points "M 2" (x, y), bilinear between pixel centres; beyond the outermost centres, the border's value.

    Written out because OpenCV's remap rounds coordinates to 1/32 px.
    """
    height, width, _ = flow.shape
    x, y = np.clip(points[:, 0], 0, width - 1), np.clip(points[:, 1], 0, height - 1)
    left, top = np.minimum(x.astype(np.int64), max(width - 2, 0)), np.minimum(y.astype(np.int64), max(height - 2, 0))
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    a, b = (x - left)[:, None], (y - top)[:, None]
    upper = flow[top, left] * (1 - a) + flow[top, right] * a
    lower = flow[bottom, left] * (1 - a) + flow[bottom, right] * a
    return (upper * (1 - b) + lower * b).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class LucasKanadeLabeler(ChainedLabeler):
    """Chained pyramidal Lucas-Kanade. Cost grows with the number of points; memory is the clip's grey frames.

    Source: Bouguet, Pyramidal Implementation of the Lucas Kanade Feature Tracker; OpenCV's `calcOpticalFlowPyrLK`.
    """

    name: ClassVar[str] = "lucas-kanade"

    window: int = 21  # side in pixels
    pyramid_levels: int = 3  # halvings above the full size

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("window", self.window, minimum=3, maximum=101)
        check_count("pyramid_levels", self.pyramid_levels, minimum=0, maximum=8)

    def _motion(self, grey: np.ndarray, clip: ClipFrames) -> "WindowField":
        return WindowField(grey, self.window, self.pyramid_levels)


class WindowField:
    """Motion measured point by point."""

    def __init__(self, grey: np.ndarray, window: int, pyramid_levels: int) -> None:
        num_frames, height, width = grey.shape
        self.shape = (num_frames, height, width)
        self._grey = grey
        self._window = (window, window)
        self._levels = pyramid_levels

    def step(self, start: int, end: int, points: np.ndarray) -> Step:
        """Track points "M 2" from frame `start` to its neighbour `end`, and from where they landed back again."""
        moved, moved_found = self._track(self._grey[start], self._grey[end], points)
        returned, returned_found = self._track(self._grey[end], self._grey[start], moved)
        return Step(moved_px=moved, returned_px=returned, found=moved_found & returned_found)

    def _track(self, first: np.ndarray, second: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points in `second`, "M 2", and whether each was found; one that was not stays where it is."""
        start = points[:, None]
        landed, status, _ = cv2.calcOpticalFlowPyrLK(first, second, start, start.copy(), winSize=self._window, maxLevel=self._levels)
        found = (status[:, 0] > 0) & np.isfinite(landed[:, 0]).all(axis=1)
        return np.where(found[:, None], landed[:, 0], points), found
