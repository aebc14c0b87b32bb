"""The query policies, and the choice of a clip's queries by one of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from labelers.options import check_choice, check_count, check_number
from labelers.queries.corners import corner_points
from labelers.queries.draw import generator_for
from labelers.queries.even import grid_points, random_points
from labelers.queries.sift import sift_points
from labelers.queries.truth import true_points
from pipeline.errors import ConfigError, DataError
from pipeline.records import FrameReader, TrackTruth

POLICIES = ("grid", "random", "corners", "sift", "truth")


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryPolicy:
    """How queries are chosen. Every field changes the labels and belongs to the label set's identity.

    grid: evenly, whatever the image shows. random: uniformly. corners: in proportion to texture (the gradient tensor's smaller
    eigenvalue), at most one per small cell so that they spread. sift: a uniform draw among OpenCV's SIFT keypoints. Where an
    image has too few corners or keypoints the rest is drawn uniformly: there are always exactly `num_queries`.
    truth: points of the clip's own true tracks, each in the frame where its track begins; at most `num_queries`.
    """

    policy: str = "grid"
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


def choose_queries(reader: FrameReader, policy: QueryPolicy, *, key: str, truth: TrackTruth | None = None) -> np.ndarray:
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
