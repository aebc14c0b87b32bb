"""Dense tracks as a picture, and for the Rerun viewer: a thinned part of them, as there are too many to be told apart."""

import math
from dataclasses import dataclass, replace

import numpy as np

from jobs.inferring.outcome import DenseSummary
from jobs.inferring.scene import scene_of_digest
from labelers.track4world.chaining import Cells
from pipeline.drawing import SheetCell, TrackColours, TrackStyle, clip_cell, contact_sheet, spread_frames
from pipeline.drawing.clip_scene import ClipScene
from pipeline.drawing.depth import depth_pictures
from pipeline.drawing.from_above import tracks_from_above
from pipeline.drawing.sheet import CELL_WIDTH
from pipeline.drawing.style import colour_indices, palette
from pipeline.records import TrackLabels
from pipeline.records.dense_tracks import DenseTracks
from trainer.inference.digest import Digest

_SHOWN = 300  # tracks in a frame, about
_SPREAD_IN = 6  # frames in which they are spread: in more, they would crowd in all
_ABOVE_HEIGHT = 460
_TAIL_FRAMES = 16


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ShownTracks:
    """M tracks in K frames."""

    labels: TrackLabels
    points: np.ndarray  # float32 "K M 3", in the world
    colours: TrackColours


def shown_tracks(tracks: DenseTracks, digest: Digest) -> ShownTracks:
    """Tracks spread over the image throughout a digest. In frames in which they do not live they are far outside, and hidden."""
    height, width = tracks.size
    frames = digest.numbers[spread_frames(len(digest.numbers), min(_SPREAD_IN, len(digest.numbers)))]
    chosen = tracks.select(spread_tracks(tracks, frames, apart=max(1, round(math.sqrt(height * width / _SHOWN)))))
    found = chosen.in_frames(digest.numbers)
    pixels = np.where(found.alive[..., None], found.pixels, -np.array([width, height], np.float32))
    queries = chosen.queries.copy()
    queries[:, 0] = -1  # a cross on each would hide the picture
    labels = TrackLabels(queries=queries, tracks_px=pixels.astype(np.float32), visibility=found.visibility)
    return ShownTracks(labels=labels, points=found.points, colours=track_colours(chosen))


def spread_tracks(tracks: DenseTracks, numbers: np.ndarray, *, apart: int) -> np.ndarray:
    """Choose so that each cell of the image holds a chosen track, in all given frames, if it holds one that is seen.

    Frame after frame, a cell without a chosen track takes the one that lives on longest.

    Args:
        numbers: int "K", frames.
        apart: pixels of a cell's side.
    Returns: bool "M".
    """
    cells, offsets = Cells(size=tracks.size, every=apart), tracks.offsets
    ends = tracks.starts + tracks.lengths
    chosen = np.zeros(tracks.num_tracks, bool)
    for frame in numbers:
        alive = np.flatnonzero((tracks.starts <= frame) & (frame < ends))
        places = offsets[alive] + frame - tracks.starts[alive]
        seen = tracks.visibility[places]
        alive, cell = alive[seen], cells.of(tracks.pixels[places[seen]])
        free = ~np.isin(cell, cell[chosen[alive]])
        alive, cell = alive[free], cell[free]
        longest = np.argsort(-ends[alive], kind="stable")
        chosen[alive[longest][np.unique(cell[longest], return_index=True)[1]]] = True
    return chosen


def track_colours(tracks: DenseTracks) -> TrackColours:
    """A rainbow by the queries' places."""
    return TrackColours(table=palette(), entries=colour_indices(tracks.queries, *tracks.size))


def dense_preview(name: str, digest: Digest, shown: ShownTracks, summary: DenseSummary) -> np.ndarray:
    """Trails over the frames, their depth, and the tracks from above, uint8 "H W 3"."""
    height, width = digest.frames.shape[1:3]
    numbers = digest.numbers.tolist()
    style = TrackStyle(tail_frames=_TAIL_FRAMES, colours=shown.colours)
    trails = clip_cell("trails", digest.frames, shown.labels, style=style, numbers=numbers)
    depth = clip_cell("depth", depth_pictures(digest.depth).frames, None, legend="depth", numbers=numbers)
    seen = shown.labels.visibility
    above = tracks_from_above(shown.points, seen, shown.colours, digest.camera_to_world, size=(_ABOVE_HEIGHT, CELL_WIDTH))
    in_all = f"{summary.num_tracks:,} tracks, {summary.mode}, {summary.median_length:g} frames long in the median"
    part = f"{seen.shape[1]:,} of them are drawn" if seen.shape[1] < summary.num_tracks else "all are drawn"
    cells = [
        replace(trails, note=f"{width} x {height}   {in_all}; {part}"),
        replace(depth, note="near is bright, what is not in the cloud is grey"),
        SheetCell(key="from above", note="the drawn tracks where they are seen; a dot ends each", strip=above),
    ]
    return contact_sheet(cells, title=name, subtitle="predicted by the model; lengths in a unit of its own")


def dense_scene(name: str, digest: Digest, shown: ShownTracks, *, times_s: np.ndarray) -> ClipScene:
    """Frames, cameras, depth and the drawn tracks for the viewer.

    Args:
        times_s: "K", of the digest's frames.
    """
    scene = scene_of_digest(name, digest, times_s=times_s, visible=0.0)
    sample = replace(scene.sample, tracks3d_world=shown.points, visibility=shown.labels.visibility)
    return replace(scene, sample=sample, labels=shown.labels, colours=shown.colours.table[shown.colours.entries])
