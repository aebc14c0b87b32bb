"""How a chain reached each point in each frame: the links on the way, beside the labels that they give."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipeline.records import TrackLabels


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CheckedStep:
    """M points taken to another frame, and what the check says of it."""

    position_px: np.ndarray  # float32 "M 2": in the frame stepped to
    missed_px: np.ndarray  # float32 "M": by how far the way back misses the start
    passed: np.ndarray  # bool "M"
    strain: np.ndarray  # float32 "M": the miss over what is allowed, see `labelers.chain.confidence_of`

    def of(self, chosen: np.ndarray) -> "CheckedStep":
        """Of some of the points, bool "M"."""
        return CheckedStep(
            position_px=self.position_px[chosen], missed_px=self.missed_px[chosen], passed=self.passed[chosen], strain=self.strain[chosen]
        )


class LinkListener(Protocol):
    """Told of the links of a chain while it is built. A later link to a frame takes the place of the one before."""

    def __call__(self, start: int, end: int, tracks: np.ndarray, link: CheckedStep) -> None:
        """Tracks, int64 "M", went from frame `start` to frame `end` by `link`."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ChainTrace:
    """The chain behind each position of N tracks over T frames. Its arrays are filled while the chain is built; all are 0 at the query.

    Where a point is not reached (`hidden_frames` above 0) its position goes on from the frame before by a link that failed, or from a
    place that was lost: strain and links go on alike.
    """

    query_frame: npt.NDArray[np.int64]  # "N"
    strain: npt.NDArray[np.float32]  # "T N": squared strains of all links of the chain, summed
    link_strain: npt.NDArray[np.float32]  # "T N": of its last link, squared
    missed_px: npt.NDArray[np.float32]  # "T N": round trip of its last link
    num_links: npt.NDArray[np.int32]  # "T N"
    since_direct: npt.NDArray[np.int32]  # "T N": frames between this one and the one that the chain's first link led to
    hidden_frames: npt.NDArray[np.int32]  # "T N": steps since the last frame that was reached; 0 where it is this one

    @classmethod
    def at_queries(cls, queries: np.ndarray, num_frames: int) -> "ChainTrace":
        """Before any link. `queries` are "N 3", (t, x, y)."""
        shape = (num_frames, len(queries))
        return cls(
            query_frame=queries[:, 0].astype(np.int64),
            strain=np.zeros(shape, np.float32),
            link_strain=np.zeros(shape, np.float32),
            missed_px=np.zeros(shape, np.float32),
            num_links=np.zeros(shape, np.int32),
            since_direct=np.zeros(shape, np.int32),
            hidden_frames=np.zeros(shape, np.int32),
        )

    def add(self, start: int, end: int, tracks: np.ndarray, link: CheckedStep) -> None:
        """See LinkListener."""
        squared = np.square(link.strain)
        self.strain[end, tracks] = self.strain[start, tracks] + squared
        self.link_strain[end, tracks] = squared
        self.missed_px[end, tracks] = link.missed_px
        self.num_links[end, tracks] = self.num_links[start, tracks] + 1
        from_query = self.query_frame[tracks] == start
        self.since_direct[end, tracks] = np.where(from_query, 0, self.since_direct[start, tracks] + abs(end - start))
        lost = self.hidden_frames[start, tracks]
        self.hidden_frames[end, tracks] = np.where((lost == 0) & link.passed, 0, lost + 1)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TracedLabels:
    """Labels of one clip, and the chains behind them."""

    labels: TrackLabels
    trace: ChainTrace
