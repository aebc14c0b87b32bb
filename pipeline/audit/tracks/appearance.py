"""Appearance of a track against its query: grey patches around points, made comparable."""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.audit.tracks.inputs import mean_where, min_where, number_frames, query_frames
from pipeline.records.arrays import check_array
from pipeline.records.labels import TrackLabels

PATCH = 15  # pixels on a side
FLAT = 3.0  # grey levels: below this standard deviation a patch is mostly noise
_EPSILON = 1e-6
_MARGIN = 64.0  # pixels beyond the border up to which positions matter; all further ones see the border alike
_CHUNK = 4096  # tracks worked on at once: bounds the memory


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Patches:
    """M patches with mean 0 and standard deviation 1, so that the mean of a product is their correlation."""

    values: np.ndarray  # float32 "M P"
    textured: np.ndarray  # bool "M": enough contrast to mean something

    def correlation(self, other: "Patches") -> np.ndarray:
        """NCC of each patch with its partner, float32 "M"."""
        return np.einsum("mp,mp->m", self.values, other.values) / self.values.shape[1]

    def take(self, rows: np.ndarray) -> "Patches":
        """Some of them."""
        return Patches(values=self.values[rows], textured=self.textured[rows])


def cut_patches(image: np.ndarray, points_px: np.ndarray) -> Patches:
    """Patches of 15 x 15 pixels around points, bilinear; beyond the image its border is repeated.

    Each is normalised as (p - mean) / (std + 1e-6).

    Args:
        image: grey uint8 "H W".
        points_px: "M 2", (x, y), integer = pixel centre. M < 32768, the limit of OpenCV's remap.
    """
    offset_y, offset_x = np.mgrid[:PATCH, :PATCH].reshape(2, 1, -1).astype(np.float32) - PATCH // 2
    upper = np.array(image.shape[::-1]) + _MARGIN
    centre = np.clip(points_px, -_MARGIN, upper).astype(np.float32)
    map_x, map_y = centre[:, :1] + offset_x, centre[:, 1:] + offset_y
    raw = cv2.remap(image.astype(np.float32), map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    raw = raw.reshape(len(points_px), PATCH * PATCH)
    deviation = raw.std(axis=1, keepdims=True)
    return Patches(values=(raw - raw.mean(axis=1, keepdims=True)) / (deviation + _EPSILON), textured=deviation[:, 0] > FLAT)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Appearance:
    """Normalised cross-correlation (NCC, -1 to 1) of grey patches along N tracks of T frames; NaN where hidden or flat."""

    ncc: np.ndarray  # float32 "T N": with the query's patch; about 1 at the query itself
    ncc_min: np.ndarray  # float32 "N": over the visible frames but the query's
    ncc_mean: np.ndarray  # float32 "N"
    ncc_step_min: np.ndarray  # float32 "N": with the frame before, both visible

    def __post_init__(self) -> None:
        check_array("ncc", self.ncc, "float32", (None, None))
        for name in ("ncc_min", "ncc_mean", "ncc_step_min"):
            check_array(name, getattr(self, name), "float32", self.ncc.shape[1:])


def appearance(labels: TrackLabels, grey: np.ndarray) -> Appearance:
    """NCC of the patch of 15 x 15 pixels around each visible point with the one around its query, and with the one a frame before.

    ncc[t, i] = mean(a b), a and b the patches of I[t_q] at q_i and of I[t] at P[t, i], each less its mean and divided by its
    standard deviation. A query's patch below 3 grey levels of deviation says nothing; a textured query that ends on a flat patch
    does (near 0). For the step both patches need texture.

    Args:
        grey: uint8 "T H W", in whose pixels the labels are. Patches are of this image's pixels, not the raster's.
    """
    queries = QueryPatches(labels)
    for frame in queries.needed_early():
        queries.add(frame, grey[frame])
    looks = AppearancePass(labels, queries)
    for frame, image in number_frames(labels, grey):
        queries.add(frame, image)
        looks.add(frame, image)
    return looks.appearance()


def texture(labels: TrackLabels, grey: np.ndarray) -> np.ndarray:
    """Smaller eigenvalue of the gradient tensor over 15 x 15 pixels at each query (OpenCV's scale: grey in [0, 1]); float32 "N".

    A fact about where one asked, not a sign of a bad track.
    Source: Shi, Tomasi, Good Features to Track, CVPR 1994.
    """
    strength = TexturePass(labels)
    for frame, image in number_frames(labels, grey):
        strength.add(frame, image)
    return strength.values


class TexturePass:
    """`texture`, while the frames go by."""

    def __init__(self, labels: TrackLabels) -> None:
        self._queries, self._asked = labels.queries, query_frames(labels)
        self.values = np.full(len(self._asked), np.nan, np.float32)

    def add(self, frame: int, image: np.ndarray) -> None:
        """The next frame, grey uint8 "H W"."""
        here = np.flatnonzero(self._asked == frame)
        if not len(here):
            return
        smallest = cv2.cornerMinEigenVal(image.astype(np.float32) / 255, PATCH)
        column, row = np.round(self._queries[here, 1:]).astype(np.int64).T
        self.values[here] = smallest[np.clip(row, 0, image.shape[0] - 1), np.clip(column, 0, image.shape[1] - 1)]


class QueryPatches:
    """The patches around the queries of N tracks, each cut when its frame is there."""

    def __init__(self, labels: TrackLabels) -> None:
        self._labels, self._asked = labels, query_frames(labels)
        self._values = np.zeros((len(self._asked), PATCH * PATCH), np.float32)
        self._textured = np.zeros(len(self._asked), bool)

    def needed_early(self) -> list[int]:
        """Increasing: the query frames of tracks that are visible before, whose patches must be known before the frames go by."""
        before = self._labels.visibility & (np.arange(len(self._labels.visibility))[:, None] < self._asked)
        return np.unique(self._asked[before.any(axis=0)]).tolist()

    def add(self, frame: int, image: np.ndarray) -> None:
        """Cut the patches that were asked for in this frame, grey uint8 "H W"."""
        asked = np.flatnonzero(self._asked == frame)
        for begin in range(0, len(asked), _CHUNK):
            here = asked[begin : begin + _CHUNK]
            patches = cut_patches(image, self._labels.queries[here, 1:])
            self._values[here], self._textured[here] = patches.values, patches.textured

    def take(self, rows: np.ndarray) -> Patches:
        """The patches of some tracks."""
        return Patches(values=self._values[rows], textured=self._textured[rows])

    def textured(self, rows: np.ndarray) -> np.ndarray:
        """Whether each track's patch has texture, bool "M"."""
        return self._textured[rows]


class AppearancePass:
    """`appearance`, while the frames go by. One frame's patches are held."""

    def __init__(self, labels: TrackLabels, queries: QueryPatches) -> None:
        num_tracks = labels.visibility.shape[1]
        rows = [np.arange(begin, min(begin + _CHUNK, num_tracks)) for begin in range(0, num_tracks, _CHUNK)]
        self._labels, self._asked = labels, query_frames(labels)
        self._chunks = [_Chunk(labels, chunk, queries) for chunk in rows]
        self._ncc = np.full(labels.visibility.shape, np.nan, np.float32)

    def add(self, frame: int, image: np.ndarray) -> None:
        """The next frame, grey uint8 "H W"; the patches of the queries must have been given what they need of it."""
        for chunk in self._chunks:
            chunk.add(frame, image, self._ncc[frame])

    def appearance(self) -> Appearance:
        """Results of the finished pass."""
        ncc, smallest = self._ncc, [chunk.smallest for chunk in self._chunks]
        counts = ~np.isnan(ncc) & (np.arange(len(ncc))[:, None] != self._asked)
        step_min = np.concatenate([np.zeros(0, np.float32), *smallest])
        return Appearance(
            ncc=ncc,
            ncc_min=min_where(ncc, counts).astype(np.float32),
            ncc_mean=mean_where(ncc, counts).astype(np.float32),
            ncc_step_min=np.where(np.isfinite(step_min), step_min, np.float32(np.nan)),
        )


class _Chunk:
    """Some of the tracks, M. Each patch is cut once, for the query and for the step."""

    def __init__(self, labels: TrackLabels, rows: np.ndarray, queries: QueryPatches) -> None:
        self._labels, self._rows, self._queries = labels, rows, queries
        self._seen = np.zeros(0, np.int64)  # in the frame before
        self._patches: Patches | None = None  # of the frame before
        self.smallest = np.full(len(rows), np.inf, np.float32)  # NCC of neighbouring visible frames

    def add(self, frame: int, image: np.ndarray, ncc: np.ndarray) -> None:
        """The next frame; the likeness of its patches is put into the tracks' places of `ncc`, float32 "N"."""
        rows, before = self._rows, self._patches
        seen = np.flatnonzero(self._labels.visibility[frame, rows])
        patches = cut_patches(image, self._labels.tracks_px[frame, rows[seen]]) if len(seen) else None
        if patches is not None:
            known = np.flatnonzero(self._queries.textured(rows[seen]))
            ncc[rows[seen[known]]] = self._queries.take(rows[seen[known]]).correlation(patches.take(known))
        if patches is not None and before is not None:
            both, now, then = np.intersect1d(seen, self._seen, assume_unique=True, return_indices=True)
            usable = patches.textured[now] & before.textured[then]
            step = before.take(then[usable]).correlation(patches.take(now[usable]))
            self.smallest[both[usable]] = np.minimum(self.smallest[both[usable]], step)
        self._seen, self._patches = seen, patches
