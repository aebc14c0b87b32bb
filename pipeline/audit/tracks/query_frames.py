"""The frame in which each track was asked for."""

import numpy as np

from pipeline.errors import DataError
from pipeline.records.labels import TrackLabels


def query_frames(labels: TrackLabels) -> np.ndarray:
    """Frame index of each query, int64 "N".

    Raises: DataError if a query is not on a frame of the clip.
    """
    asked = labels.queries[:, 0]
    wrong = (asked != np.round(asked)) | (asked < 0) | (asked >= len(labels.tracks_px))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise DataError(
            f"query {first} is on frame {asked[first]:g}, expected a whole number below {len(labels.tracks_px)}, the clip's frames;"
            " label this clip again"
        )
    return np.asarray(asked.astype(np.int64))


def inside_image(tracks_px: np.ndarray, *, height: int, width: int) -> np.ndarray:
    """Whether positions "... 2" lie in the image, which covers [-0.5, width - 0.5] x [-0.5, height - 0.5]; bool "..."."""
    return np.asarray(np.all((tracks_px >= -0.5) & (tracks_px <= np.array([width, height]) - 0.5), axis=-1))
