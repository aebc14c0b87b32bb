"""Query policies, and the choice of a clip's query points by one of them."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from labelers.options import check_choice, check_count, check_number
from pipeline.errors import ConfigError, DataError
from pipeline.records import FrameReader
from pipeline.records.truth import TrackTruth

Policy = Literal["grid", "random", "corners", "sift", "truth"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
BLOCK = 7  # of corners: pixels, side of the window over which gradients are gathered
CELL = 0.7  # of corners: side of the cells of at most one point each, in units of the points' even spacing; about two cells per point


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryPolicy:
    """The choice of query points. Every field changes the labels and belongs to the label set's identity.

    grid: evenly, whatever the image shows. random: uniformly. corners: in proportion to texture (the gradient tensor's smaller
    eigenvalue), at most one per small cell so that they spread. sift: a uniform draw among OpenCV's SIFT keypoints. Where an
    image has too few corners or keypoints the rest is drawn uniformly: there are always exactly `num_queries`.
    truth: points of the clip's own true tracks, each in the frame where its track begins; at most `num_queries`.
    """

    policy: Policy = "grid"
    num_queries: int = 256  # per clip, over all its query frames
    num_query_frames: int = 1  # 1: the first frame; k: frames 0, T/k, 2T/k, ...; a clip of fewer frames uses each of them
    margin: float = 0.0  # left free at each border, as a share of the shorter side

    def __post_init__(self) -> None:
        check_choice("query policy", self.policy, POLICIES)
        check_count("num_queries", self.num_queries, minimum=0)
        check_count("num_query_frames", self.num_query_frames, minimum=1)
        check_number("margin", self.margin, minimum=0.0, maximum=0.45)
        if self.policy == "truth" and (self.num_query_frames != 1 or self.margin):
            raise ConfigError("query policy truth: true tracks have query frames and places of their own; leave the options for them out")


def choose_queries(reader: FrameReader, policy: QueryPolicy, *, key: str, truth: TrackTruth | None = None) -> npt.NDArray[np.float32]:
    """The queries of one clip, all inside the image; a pure function of frames, policy, key and truth.

    There are exactly `policy.num_queries`, save for the policy `truth`, where there may be fewer. Frames are read up to the last
    query frame, and only by the policies that look at them.

    Args:
        truth: the clip's true tracks, in pixels of the reader's frames; looked at by the policy `truth` alone.
    Returns:
        float32 "N 3": (t, x, y), ordered by frame. Integer pixel coordinates are pixel centres.
    Raises: DataError if the clip ends before its stated number of frames, or has no true tracks where they are asked for.
    """
    num_frames, height, width = reader.shape
    if policy.policy == "truth":
        if truth is None:
            raise DataError(f"clip {key} has no true tracks to take queries from; use another query policy, such as grid")
        return true_points(truth, count=policy.num_queries, height=height, width=width, key=key)
    count = min(policy.num_query_frames, num_frames)
    frames = [index * num_frames // count for index in range(count)]
    shares = [policy.num_queries * (index + 1) // count - policy.num_queries * index // count for index in range(count)]
    images = _images_at(reader, frames, key) if policy.policy in ("corners", "sift") else ((t, np.zeros(0, np.uint8)) for t in frames)
    queries = np.zeros((policy.num_queries, 3), np.float32)
    filled = 0
    for (t, image), share in zip(images, shares, strict=True):
        queries[filled : filled + share, 0] = t
        queries[filled : filled + share, 1:] = _points(image, (height, width), policy, share, generator_for(key, policy.policy, t))
        filled += share
    return queries


def _points(image: np.ndarray, shape: tuple[int, int], policy: QueryPolicy, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` points of one frame, float32 "N 2"."""
    margin = policy.margin * min(shape)
    if policy.policy == "grid":
        return grid_points(shape, count, margin_px=margin)
    found = np.zeros((0, 2), np.float32)
    if policy.policy in ("corners", "sift"):
        allowed = np.zeros(shape, bool)
        allowed[_span(shape[0], margin), _span(shape[1], margin)] = True
        choose = corner_points if policy.policy == "corners" else sift_points
        found = choose(image, count, rng, allowed=allowed)
    return np.concatenate([found, random_points(shape, count - len(found), rng, margin_px=margin)])


def _span(size: int, margin: float) -> slice:
    return slice(int(np.ceil(margin)), size - int(np.ceil(margin)))


def _images_at(reader: FrameReader, frames: list[int], key: str) -> Iterator[tuple[int, np.ndarray]]:
    """The frames (RGB) at these increasing indices."""
    wanted = iter(frames)
    target = next(wanted, None)
    for t, image in enumerate(reader):
        if t == target:
            yield t, image
            target = next(wanted, None)
        if target is None:
            return
    raise DataError(f"clip {key}: frame {target} is missing, the clip says it has {reader.shape[0]} frames; cut the clip again")


def generator_for(key: str, purpose: str, index: int) -> np.random.Generator:
    """A generator made from the clip's key, what is drawn, and its number: the same on every machine and in every run."""
    digest = hashlib.sha256(f"{key}\n{purpose}\n{index}".encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, "<u4").tolist())


def grid_points(shape: tuple[int, int], count: int, *, margin_px: float = 0.0) -> np.ndarray:
    """Exactly `count` points over an image of `shape` (H, W), as even as its aspect ratio allows: float32 "N 2".

    Rows are evenly spaced, and the points of each row too, each in the middle of its own cell. Where `count` is not a product of
    rows and columns some rows hold one point more, spread over the rows: no hole is left anywhere, and each row is symmetric.
    """
    if count == 0:
        return np.zeros((0, 2), np.float32)
    height, width = (side - 2 * margin_px for side in shape)
    num_rows = min(count, max(1, round(np.sqrt(count * height / width))))
    per_row, extra = divmod(count, num_rows)
    longer = {int((index + 0.5) * num_rows / extra) for index in range(extra)}
    rows = []
    for row in range(num_rows):
        columns = per_row + (row in longer)
        x = margin_px + (np.arange(columns) + 0.5) * width / columns - 0.5
        rows.append(np.column_stack([x, np.full(columns, margin_px + (row + 0.5) * height / num_rows - 0.5)]))
    return np.concatenate(rows).astype(np.float32)


def random_points(shape: tuple[int, int], count: int, rng: np.random.Generator, *, margin_px: float = 0.0) -> np.ndarray:
    """`count` points drawn uniformly from the area [-0.5, W-0.5] x [-0.5, H-0.5] less the margin: float32 "N 2"."""
    height, width = shape
    low = margin_px - 0.5
    return rng.uniform((low, low), (width - 0.5 - margin_px, height - 0.5 - margin_px), (count, 2)).astype(np.float32)


def corner_points(image: np.ndarray, count: int, rng: np.random.Generator, *, allowed: np.ndarray) -> np.ndarray:
    """Up to `count` pixel centres drawn with probability in proportion to texture, at most one per small cell: float32 "N 2".

    Texture is the smaller eigenvalue of the gradient tensor. Flat pixels are drawn only when nothing better is left in reach;
    fewer than `count` points come back where the allowed area is too small for them.

    Args:
        image: uint8, RGB "H W 3" or grey "H W".
        allowed: bool "H W": pixels that may be chosen.
    Source: weighted sampling without replacement by exponential clocks (Efraimidis and Spirakis 2006).
    """
    y, x = np.nonzero(allowed)
    if count == 0 or not len(x):
        return np.zeros((0, 2), np.float32)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
    texture = cv2.cornerMinEigenVal(grey, BLOCK)[y, x].astype(np.float64)
    weight = np.maximum(texture, 0) + 1e-6 * max(texture.max(), 1e-12)
    first_come = np.argsort(rng.exponential(size=len(x)) / weight, kind="stable")
    side = max(1.0, CELL * np.sqrt(len(x) / count))
    cell = (y // side).astype(np.int64) * grey.shape[1] + (x // side).astype(np.int64)
    _, first_of_cell = np.unique(cell[first_come], return_index=True)
    chosen = first_come[np.sort(first_of_cell)[:count]]
    return np.column_stack([x[chosen], y[chosen]]).astype(np.float32)


def sift_points(image: np.ndarray, count: int, rng: np.random.Generator, *, allowed: np.ndarray) -> np.ndarray:
    """Up to `count` distinct SIFT keypoints, drawn uniformly without replacement: float32 "N 2". Fewer if the image has fewer.

    Args:
        image: uint8 RGB "H W 3".
        allowed: bool "H W": a keypoint counts if its nearest pixel is allowed.
    """
    keypoints = cv2.SIFT.create().detect(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None)
    if not keypoints or count == 0:
        return np.zeros((0, 2), np.float32)
    places = np.unique(np.array([keypoint.pt for keypoint in keypoints], np.float32), axis=0)  # one per place, whatever its angles
    column, row = np.round(places).astype(np.int64).T
    inside = (column >= 0) & (column < allowed.shape[1]) & (row >= 0) & (row < allowed.shape[0])
    places = places[inside][allowed[row[inside], column[inside]]]
    return places[rng.permutation(len(places))[:count]]


def true_points(truth: TrackTruth, *, count: int, height: int, width: int, key: str) -> np.ndarray:
    """At most `count` points of a clip's true tracks, one per track; all of them if there are no more.

    A track is queried in its `query_frame`, or in the first frame after it in which the point is seen inside the image; tracks
    that are never seen there are left out. Of more tracks than wanted the choice is even over the tracks as ordered by query
    frame, drawn from the clip's key. Positions are the truth's own, bit for bit.

    Returns: float32 "n 3": (t, x, y), ordered by frame.
    """
    position = truth.tracks_px
    inside = ((position >= -0.5) & (position <= np.array([width, height], np.float32) - 0.5)).all(axis=-1)
    begun = np.arange(len(position))[:, None] >= truth.query_frame
    askable = truth.seen & inside & begun
    tracks = np.flatnonzero(askable.any(axis=0))
    frames = askable[:, tracks].argmax(axis=0) if len(tracks) else np.zeros(0, np.int64)
    order = np.lexsort((tracks, frames))
    chosen = order[_spread(len(order), count, generator_for(key, "truth", 0))]
    tracks, frames = tracks[chosen], frames[chosen]
    return np.column_stack([frames, position[frames, tracks]]).astype(np.float32).reshape(-1, 3)


def _spread(length: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` increasing places of `range(length)`: one from each of as many equal parts, so that none comes twice."""
    if count >= length:
        return np.arange(length)
    bounds = np.arange(count + 1) * length // max(count, 1)
    return bounds[:-1] + (rng.random(count) * np.diff(bounds)).astype(np.int64)
