"""Kubric as CoTracker's dataset class reads it: `SEQ/frames/000.png` and `SEQ/SEQ.npy`.

The .npy is a pickled dictionary: `coords` float32 "N T 2", pixels from the image's corner (ours plus 0.5); `visibility` bool "N T",
which despite its name is True where the point is OCCLUDED.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.errors import ConfigError
from pipeline.export.format import Refusal, UsualAnswers, export_tracks, numbered_pngs, refuse_without_tracks
from pipeline.export.pickles import object_npy
from pipeline.records import ClipRecord, ClipSample

CORNER_PX = 0.5  # from the first pixel's centre to the image's corner


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainerNeeds:
    """Least clip that a trainer samples from; it throws others away while it runs."""

    trainer: str
    frames: int  # length of its samples
    points: int  # tracks of its samples

    def __post_init__(self) -> None:
        if self.frames < 1 or self.points < 1:
            raise ConfigError(f"--trainer-frames {self.frames}, --trainer-points {self.points}: expected at least 1 of each")

    def refuse_length(self, frames: int) -> Refusal | None:
        """Reason against a clip of so many frames."""
        if frames >= self.frames:
            return None
        rounded = -(-self.frames // 8) * 8
        message = (
            f"{frames} frames, {self.trainer} samples {self.frames}: cut longer clips, into a new root, with"
            f" `jobs/shard.py --clip-frames {rounded}`, or give the length that you train with as --trainer-frames"
        )
        return Refusal(kind=f"fewer than {self.frames} frames", message=message)

    def refuse_points(self, points: int, where: str) -> Refusal | None:
        """Reason against a clip with so many points to draw from; `where` the trainer looks for them."""
        if points >= self.points:
            return None
        queries = 2 ** max(10, (2 * self.points - 1).bit_length())
        message = (
            f"{points} points are visible {where}, {self.trainer} draws {self.points}: label with"
            f" `jobs/pseudolabel.py --queries {queries} --query-frames 2`, lower --min-weight, or give the number that you train with"
            " as --trainer-points"
        )
        return Refusal(kind=f"fewer than {self.points} points {where}", message=message)


# As the public training scripts set them (CoTracker3) or the public dataset class does by default.
KUBRIC_TRAINERS = {
    "cotracker3-offline": TrainerNeeds(trainer="cotracker3-offline", frames=60, points=512),
    "cotracker3-online": TrainerNeeds(trainer="cotracker3-online", frames=64, points=384),
    "any": TrainerNeeds(trainer="any trainer", frames=1, points=1),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class KubricFormat(UsualAnswers):
    """One folder per clip, named by its key."""

    needs: TrainerNeeds
    min_weight: float = 0.0
    name: str = "kubric"
    in_folders: bool = True

    @property
    def settings(self) -> dict[str, Any]:
        """Options that change what is written."""
        return {"needs": asdict(self.needs), "min_weight": self.min_weight}

    def place(self, shard: int, key: str) -> str:
        """The sequence's folder."""
        return key

    def refuse_record(self, record: ClipRecord) -> Refusal | None:
        """Reason against a clip that is shorter than the trainer's samples."""
        return self.needs.refuse_length(record.frames)

    def refuse(self, sample: ClipSample) -> Refusal | None:
        """Reason against a clip in which the trainer would not find enough points."""
        found = refuse_without_tracks(sample, self.min_weight)
        if found is not None:
            return found
        points = drawn_points(export_tracks(sample, self.min_weight).visible, self.needs.frames)
        return self.needs.refuse_points(points, "in the first or middle frame")

    def files(self, sample: ClipSample) -> Iterator[tuple[str, bytes]]:
        """The frames, then the annotation."""
        yield from numbered_pngs(sample.frames)
        tracks = export_tracks(sample, self.min_weight)
        annotation = {
            "coords": np.ascontiguousarray((tracks.tracks_px + np.float32(CORNER_PX)).swapaxes(0, 1)),
            "visibility": np.ascontiguousarray(~tracks.visible.T),
        }
        yield f"{sample.key}.npy", object_npy(annotation)

    def num_tracks(self, sample: ClipSample) -> int:
        """Exported tracks."""
        return len(export_tracks(sample, self.min_weight).chosen)


def drawn_points(visible: np.ndarray, frames: int) -> int:
    """Points that CoTracker's sampler draws from, in the window of a clip in which it finds fewest.

    It lists the points of the window's first frame, then those of its middle frame; a point of both is listed twice.

    Args:
        visible: bool "T N".
        frames: length of the window, at most T.
    """
    per_frame = visible.sum(axis=1)
    last = len(visible) - frames
    return int((per_frame[: last + 1] + per_frame[frames // 2 : frames // 2 + last + 1]).min())
