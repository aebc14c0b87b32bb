"""Camera motion by followed corners: pan, roll and zoom per frame, and whether one homography explains it all."""

from dataclasses import dataclass

import cv2
import numpy as np

MIN_CORNERS = 8  # fewer say nothing about the picture
_NUM_CORNERS = 200
_QUALITY, _DISTANCE_PX = 0.01, 7.0
_WINDOW, _LEVELS = (15, 15), 4
_ROUND_TRIP_PX = 1.0
_MIN_STEP, _MIN_PAIR = 12, 30  # corners that a step, and a pair of frames further apart, must have in common
_HOMOGRAPHY_PX, _EPIPOLAR_PX = 2.0, 1.0  # inlier distances
_CONFIDENCE, _ITERATIONS = 0.999, 2000
_UNKNOWN = float("nan")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FollowedCorners:
    """K of `num_corners` corners that were found again: there and back they return within 1 px. Pixels of the small frame."""

    starts_px: np.ndarray  # float64 "K 2"
    ends_px: np.ndarray  # float64 "K 2"
    num_corners: int

    @property
    def steps_px(self) -> np.ndarray:
        """Displacements, float64 "K 2"."""
        return np.subtract(self.ends_px, self.starts_px)

    @property
    def survival(self) -> float:
        """K / number of corners; NaN where the frame has fewer than 8."""
        return len(self.starts_px) / self.num_corners if self.num_corners >= MIN_CORNERS else float("nan")


def follow_corners(before: np.ndarray, after: np.ndarray) -> FollowedCorners:
    """Corners of `before` (Shi-Tomasi, at most 200) in `after`, by pyramidal Lucas-Kanade there and back.

    Args:
        before, after: uint8 "H W", grey.
    """
    found = cv2.goodFeaturesToTrack(before, _NUM_CORNERS, _QUALITY, _DISTANCE_PX)
    if found is None:
        return FollowedCorners(starts_px=np.zeros((0, 2)), ends_px=np.zeros((0, 2)), num_corners=0)
    starts = found.reshape(-1, 1, 2)
    ends, there, _ = cv2.calcOpticalFlowPyrLK(before, after, starts, starts.copy(), winSize=_WINDOW, maxLevel=_LEVELS)
    back, again, _ = cv2.calcOpticalFlowPyrLK(after, before, ends, starts.copy(), winSize=_WINDOW, maxLevel=_LEVELS)
    error = np.linalg.norm(back - starts, axis=-1)[:, 0]
    kept = (there[:, 0] == 1) & (again[:, 0] == 1) & (error < _ROUND_TRIP_PX)
    start_px, end_px = (points[kept, 0].astype(np.float64) for points in (starts, ends))
    return FollowedCorners(starts_px=start_px, ends_px=end_px, num_corners=len(starts))


@dataclass(frozen=True, kw_only=True, slots=True)
class StepMotion:
    """Motion of the picture from a frame to the next. Pixels of the small frame; NaN where it could not be fitted."""

    pan_px: float = _UNKNOWN  # how far the centre of the image moves
    roll_deg: float = _UNKNOWN  # positive from x to y: clockwise as seen
    zoom: float = _UNKNOWN  # relative growth: 0.01 is one percent


@dataclass(frozen=True, kw_only=True, slots=True)
class CameraPairGeometry:
    """Two frames some time apart: how much of the motion a homography, or a fundamental matrix, explains. NaN below 30 corners."""

    homography_share: float = _UNKNOWN  # of the corners, within 2 px
    epipolar_share: float = _UNKNOWN  # of the corners, within 1 px
    residual_px: float = _UNKNOWN  # median distance from the homography: parallax, and what moves


def step_motion(corners: FollowedCorners, height: int, width: int) -> StepMotion:
    """Fit a homography (MAGSAC, 2 px) and decompose it at the centre c of the image.

    pan = |H(c) - c|; with A the Jacobian of H at c: zoom = sqrt(det A) - 1, roll = atan2(A_10 - A_01, A_00 + A_11).
    """
    homography = _homography(corners, _MIN_STEP)
    if homography is None:
        return StepMotion()
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    moved = homography @ np.append(centre, 1.0)
    place = moved[:2] / moved[2]
    jacobian = (homography[:2, :2] - np.outer(place, homography[2, :2])) / moved[2]
    determinant = float(np.linalg.det(jacobian))
    if not determinant > 0:
        return StepMotion()
    roll = np.degrees(np.arctan2(jacobian[1, 0] - jacobian[0, 1], jacobian[0, 0] + jacobian[1, 1]))
    return StepMotion(pan_px=float(np.linalg.norm(place - centre)), roll_deg=float(roll), zoom=float(np.sqrt(determinant) - 1))


def pair_geometry(corners: FollowedCorners) -> CameraPairGeometry:
    """Inlier shares of a homography and of a fundamental matrix, both by MAGSAC (0.999, 2000 iterations).

    A high share under F proves nothing: in pure rotations it is as high. A homography that explains nearly all does prove that there
    is neither parallax nor much that moves.
    """
    homography = _homography(corners, _MIN_PAIR)
    if homography is None:
        return CameraPairGeometry()
    residual = np.linalg.norm(cv2.perspectiveTransform(corners.starts_px[:, None], homography)[:, 0] - corners.ends_px, axis=-1)
    return CameraPairGeometry(
        homography_share=float((residual < _HOMOGRAPHY_PX).mean()),
        epipolar_share=_epipolar_share(corners),
        residual_px=float(np.median(residual)),
    )


def _epipolar_share(corners: FollowedCorners) -> float:
    try:
        _, inliers = cv2.findFundamentalMat(corners.starts_px, corners.ends_px, cv2.USAC_MAGSAC, _EPIPOLAR_PX, _CONFIDENCE, _ITERATIONS)
    except cv2.error:  # OpenCV's own assertion, where all points move alike: they determine no fundamental matrix
        return _UNKNOWN
    return _UNKNOWN if inliers is None else float((inliers > 0).mean())


def _homography(corners: FollowedCorners, least: int) -> np.ndarray | None:
    """3 x 3, from starts to ends; None where there are too few corners, or no answer."""
    if len(corners.starts_px) < least:
        return None
    try:
        found, _ = cv2.findHomography(
            corners.starts_px, corners.ends_px, cv2.USAC_MAGSAC, _HOMOGRAPHY_PX, maxIters=_ITERATIONS, confidence=_CONFIDENCE
        )
    except cv2.error:  # as above, for points that determine no homography
        return None
    return None if found is None or not np.isfinite(found).all() else np.asarray(found, np.float64)
