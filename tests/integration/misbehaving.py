"""Labelers that go wrong on purpose. Loaded by jobs as `misbehaving:NAME` with this folder on PYTHONPATH."""

import os
import time
from collections.abc import Sequence

import numpy as np

from labelers import LabelerProvenance
from pipeline.errors import ConfigError, MemoryExhausted
from pipeline.records import ClipFrames, TrackLabels


class Standing:
    """Every point stays where it was asked for; clips whose first pixel column is red make trouble of the given kind."""

    def __init__(self, *, trouble: str = "none") -> None:
        self._trouble = trouble

    def label(self, clips: Sequence[ClipFrames]) -> list[TrackLabels]:
        if self._trouble == "crowd" and len(clips) > 1:
            raise MemoryExhausted(f"{len(clips)} clips do not fit into memory together")
        return [self._label(clip) for clip in clips]

    def _label(self, clip: ClipFrames) -> TrackLabels:
        frames = clip.array()
        if frames[0, :, 0, 0].mean() > 200 and frames[0, :, 0, 2].mean() < 60:
            self._make_trouble()
        positions = np.broadcast_to(clip.queries[None, :, 1:], (len(frames), len(clip.queries), 2)).copy()
        if self._trouble == "nan" and frames[0, :, 0, 0].mean() > 200:
            positions[0, 0, 0] = np.nan
        return TrackLabels(queries=clip.queries, tracks_px=positions, visibility=np.ones(positions.shape[:2], bool))

    def _make_trouble(self) -> None:
        if self._trouble == "exit":
            os._exit(3)
        if self._trouble == "sleep":
            time.sleep(600)
        if self._trouble == "raise":
            raise RuntimeError("this labeler does not like red")
        if self._trouble in ("memory", "crowd"):
            raise MemoryExhausted("red does not fit into 8 MB; give the labeler more memory, or fewer queries")

    def provenance(self) -> LabelerProvenance:
        return LabelerProvenance(name="standing", options={"trouble": self._trouble}, visibility_rule="always")


class OnlyOnce:
    """A labeler that can be made once (by the driver) and never again (by the workers): as when a node lacks the checkpoint."""

    def __init__(self, *, mark: str, mistake: bool = False, device: str = "cpu") -> None:
        if os.path.exists(mark):
            raise ConfigError(f"this node cannot do that on {device}") if mistake else OSError("no such checkpoint on this node")
        with open(mark, "w"):
            pass

    def label(self, clips: Sequence[ClipFrames]) -> list[TrackLabels]:
        raise OSError("never called")

    def provenance(self) -> LabelerProvenance:
        return LabelerProvenance(name="only-once", options={}, visibility_rule="none")
