"""Rendered flow of datasets of frame folders, from each frame to the next, where `--option flow=true` asks for it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from pipeline.datasets.files import FrameFolderSource
from pipeline.datasets.source import SequenceInfo
from pipeline.errors import ConfigError, DataError

_UNKNOWN = 1e9  # Middlebury's mark, and whatever lies beyond it


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FlowMap:
    """One file of flow."""

    vectors: np.ndarray  # float32 "H W 2", (u, v) pixels right and down
    known: np.ndarray  # bool "H W"


class FlowFolderSource(FrameFolderSource):
    """A dataset that has flow beside its frames. It takes four times the bytes of depth, so it is read only if asked for."""

    def __init__(self, root: str, *, license: str | None = None, flow: bool = False) -> None:
        """As every folder of frames. Raises: ConfigError if `flow` is no truth value."""
        if not isinstance(flow, bool):
            raise ConfigError(f"--option flow is {flow!r}, expected true or false")
        super().__init__(root, license=license)
        self._flow = flow

    def sequences(self) -> list[SequenceInfo]:
        """As every folder of frames; that flow is read belongs to the identity of what is converted."""
        found = super().sequences()
        return [replace(sequence, extra={**sequence.extra, "flow": True}) for sequence in found] if self._flow else found

    def _flow_fields(self, numbers: np.ndarray, size: tuple[int, int], read: Callable[[int], FlowMap]) -> dict[str, Any]:
        """Fields of TruthClip; none where flow is not asked for."""
        return forward_flow(numbers, size, read) if self._flow else {}


def forward_flow(numbers: np.ndarray, size: tuple[int, int], read: Callable[[int], FlowMap]) -> dict[str, np.ndarray]:
    """Flow of a clip's frames to the next ones, as fields of TruthClip. A frame whose successor is not in the clip has none.

    Args:
        numbers: of the T frames in the dataset, ascending.
        size: (H, W) of the frames.
        read: the flow of a frame of this number to the next number.
    Raises: DataError for a map of another size, and what `read` raises.
    """
    flow, valid = np.zeros((len(numbers), *size, 2), np.float32), np.zeros((len(numbers), *size), bool)
    ends = np.full((2, len(numbers)), -1, np.int32)
    for place, (number, following) in enumerate(pairwise(numbers.tolist())):
        if following != number + 1:
            continue
        found = read(number)
        if found.known.shape != size:
            height, width = found.known.shape
            raise DataError(f"flow of frame {number} has {width}x{height} pixels, its frame {size[1]}x{size[0]}; are they of one download?")
        valid[place] = found.known & np.isfinite(found.vectors).all(-1) & (np.abs(found.vectors) < _UNKNOWN).all(-1)
        flow[place] = np.where(valid[place][..., None], found.vectors, 0)
        ends[:, place] = place, place + 1
    return {"flow": flow, "flow_valid": valid, "flow_from_frame": ends[0], "flow_to_frame": ends[1]}
