"""TAP-Vid as its DAVIS file is: a pickled dictionary, name -> `video`, `points`, `occluded`.

`video` uint8 "T H W 3" RGB; `points` float32 "N T 2", (x, y) as shares of the image, counted from its corner: a pixel's centre is at
(x + 0.5) / W; `occluded` bool "N T". There are no queries: readers take them from the tracks (first visible frame, or strided).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline import storage
from pipeline.export.format import Refusal, UsualAnswers, export_tracks, refuse_without_tracks
from pipeline.export.pickles import dict_pickle, join_dict_pickles
from pipeline.records import ClipSample

FILE = "tapvid.pkl"  # all clips together
_CLIPS = "clips"


@dataclass(frozen=True, kw_only=True, slots=True)
class TapVidFormat(UsualAnswers):
    """One pickle per clip in `clips/`, each a dictionary of one entry, and `tapvid.pkl` with the entries of all."""

    min_weight: float = 0.0
    name: str = "tapvid"
    in_folders: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        """Options that change what is written."""
        return {"min_weight": self.min_weight}

    def place(self, shard: int, key: str) -> str:
        """The clip's file."""
        return f"{_CLIPS}/{key}.pkl"

    def refuse(self, sample: ClipSample) -> Refusal | None:
        """Reason against a clip without a track that is visible at a known position."""
        found = refuse_without_tracks(sample, self.min_weight)
        if found is not None:
            return found
        if not self._points_of(sample)[1].any():
            return Refusal(kind="no visible track", message="none of its tracks is visible at a known position")
        return None

    def files(self, sample: ClipSample) -> Iterator[tuple[str, bytes]]:
        """The one file."""
        points, visible = self._points_of(sample)
        video = {"video": sample.frames, "points": points, "occluded": np.ascontiguousarray(~visible.T)}
        yield "", dict_pickle({sample.key: video})

    def num_tracks(self, sample: ClipSample) -> int:
        """Exported tracks."""
        return len(self._points_of(sample)[0])

    def finish(self, out: str, places: Sequence[str]) -> str | None:
        """Join the clips' files into one, in this order; one piece of them is in memory at a time."""
        uri = storage.join(out, FILE)
        if not places:
            storage.remove(uri)
            return None
        with storage.publishing(uri) as path, path.open("w+b") as handle:
            join_dict_pickles([storage.join(out, place) for place in places], handle)
        return uri

    def _points_of(self, sample: ClipSample) -> tuple[np.ndarray, np.ndarray]:
        """Points float32 "N T 2" and visibility bool "T N" of the tracks that are visible somewhere."""
        tracks = export_tracks(sample, self.min_weight)
        ever = tracks.visible.any(axis=0)
        points = as_shares(tracks.tracks_px[:, ever], (sample.frames.shape[1], sample.frames.shape[2]))
        return np.ascontiguousarray(points.swapaxes(0, 1)), tracks.visible[:, ever]


def as_shares(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pixels "... 2" (integer = pixel centre) of an image of size (H, W) as shares of its sides from its corner, float32."""
    return ((pixels.astype(np.float64) + 0.5) / np.array(size[::-1])).astype(np.float32)
