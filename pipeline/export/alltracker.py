"""Kubric in AllTracker's spelling: `GROUP/SEQ/frames/000.png` and `GROUP/SEQ/annot.npy`.

Its dataset class looks for sequences two folders deep; the group is the number of the clip's shard. The .npy is a pickled dictionary of
`point_xys` float32 "S N 2", pixels from the image's corner (ours plus 0.5), as Kubric's own points are; `point_visibs` bool "S N", True
where the point is seen; and `point_xys_valid` bool "S N", True where the position can be used. S frames, N tracks.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.export.format import ExportTracks, Refusal, UsualAnswers, export_tracks, numbered_pngs, refuse_without_tracks
from pipeline.export.kubric import CORNER_PX, TrainerNeeds
from pipeline.export.pickles import object_npy
from pipeline.records import ClipRecord, ClipSample

# Defaults of the public dataset class.
ALLTRACKER_TRAINERS = {
    "alltracker": TrainerNeeds(trainer="alltracker", frames=24, points=768),
    "any": TrainerNeeds(trainer="any trainer", frames=1, points=1),
}
_TOO_FAR_PX = 100_000.0  # summed over x and y: the class drops tracks that ever lie farther out


@dataclass(frozen=True, kw_only=True, slots=True)
class AllTrackerFormat(UsualAnswers):
    """One folder per clip, named by its key, in one folder per shard."""

    needs: TrainerNeeds
    min_weight: float = 0.0
    name: str = "alltracker"
    in_folders: bool = True

    @property
    def settings(self) -> dict[str, Any]:
        """Options that change what is written."""
        return {"needs": asdict(self.needs), "min_weight": self.min_weight}

    def place(self, shard: int, key: str) -> str:
        """The sequence's folder within its group."""
        return f"{shard:06d}/{key}"

    def refuse_record(self, record: ClipRecord) -> Refusal | None:
        """Reason against a clip that is shorter than the trainer's samples."""
        return self.needs.refuse_length(record.frames)

    def refuse(self, sample: ClipSample) -> Refusal | None:
        """Reason against a clip in which the trainer would not find enough points."""
        found = refuse_without_tracks(sample, self.min_weight)
        if found is not None:
            return found
        return self.needs.refuse_points(
            _first_frame_points(export_tracks(sample, self.min_weight), self.needs.frames), "in the first frame"
        )

    def files(self, sample: ClipSample) -> Iterator[tuple[str, bytes]]:
        """The frames, then the annotation."""
        yield from numbered_pngs(sample.frames)
        tracks = export_tracks(sample, self.min_weight)
        annotation = {
            "point_xys": np.ascontiguousarray(tracks.tracks_px + np.float32(CORNER_PX)),
            "point_visibs": np.ascontiguousarray(tracks.visible),
            "point_xys_valid": np.ascontiguousarray(tracks.valid),
        }
        yield "annot.npy", object_npy(annotation)

    def num_tracks(self, sample: ClipSample) -> int:
        """Exported tracks."""
        return len(export_tracks(sample, self.min_weight).chosen)


def _first_frame_points(tracks: ExportTracks, frames: int) -> int:
    """Points that the class draws from, in the window of the clip in which it finds fewest: seen in the window's first frame."""
    usable = tracks.valid.all(axis=0) & (np.abs(tracks.tracks_px).sum(axis=-1) < _TOO_FAR_PX).all(axis=0)
    per_frame = (tracks.visible & usable).sum(axis=1)
    return int(per_frame[: len(per_frame) - frames + 1].min())
