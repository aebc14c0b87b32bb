"""Measures of a clip's tracks by its pictures, found in one pass over them: memory does not grow with their number."""

from dataclasses import dataclass

import numpy as np

from pipeline.audit.tracks.appearance import Appearance, AppearancePass, QueryPatches, TexturePass
from pipeline.audit.tracks.colour import ColourPass, PointColours
from pipeline.audit.tracks.flow_drift import FlowDrift, FlowDriftPass
from pipeline.audit.tracks.inputs import ClipPictures, number_frames, to_grey
from pipeline.audit.tracks.realign import Realignment, RealignmentPass
from pipeline.errors import DataError
from pipeline.records.arrays import check_array
from pipeline.records.labels import TrackLabels


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PictureMeasures:
    """Measures by the pictures along the N tracks of a clip of `height` x `width` pixels."""

    height: int
    width: int
    appearance: Appearance
    texture: np.ndarray  # float32 "N"
    realignment: Realignment
    flow_drift: FlowDrift
    colours: PointColours | None  # None: the pictures have none


def measure_pictures(labels: TrackLabels, pictures: ClipPictures) -> PictureMeasures:
    """Go through the frames once, holding five of them (of small size, two more).

    Where tracks are visible before the frame in which they were asked for, the frames up to the last such query are read once more,
    before: what a track is compared with must be known.

    Args:
        labels: T frames, N tracks, in the pixels of the pictures.
    Raises: DataError if labels and pictures are not of one clip; what the reader raises.
    """
    _, height, width = _shape(labels, pictures)
    queries = _early_queries(labels, pictures)
    texture, likeness = TexturePass(labels), AppearancePass(labels, queries)
    drift, flow = RealignmentPass(labels), FlowDriftPass(labels)
    colours = None if isinstance(pictures, np.ndarray) else ColourPass(labels)
    for frame, picture in number_frames(labels, pictures):
        grey = to_grey(picture)
        if colours is not None:
            colours.add(frame, picture)
        for each in (queries, texture, likeness, drift, flow):
            each.add(frame, grey)
    return PictureMeasures(
        height=height,
        width=width,
        appearance=likeness.appearance(),
        texture=texture.values,
        realignment=drift.realignment(),
        flow_drift=flow.flow_drift(),
        colours=None if colours is None else colours.point_colours(),
    )


def _early_queries(labels: TrackLabels, pictures: ClipPictures) -> QueryPatches:
    """The patches of those queries that frames before them are compared with."""
    queries = QueryPatches(labels)
    wanted = set(queries.needed_early())
    if wanted:
        for frame, picture in number_frames(labels, pictures):
            if frame in wanted:
                queries.add(frame, to_grey(picture))
            if frame == max(wanted):
                break
    return queries


def _shape(labels: TrackLabels, pictures: ClipPictures) -> tuple[int, int, int]:
    """(T, H, W) of both. Raises DataError if they differ."""
    num_frames = len(labels.visibility)
    if isinstance(pictures, np.ndarray):
        check_array("grey", pictures, "uint8", (num_frames, None, None))
        return num_frames, *pictures.shape[1:]
    if pictures.shape[0] != num_frames:
        raise DataError(f"the labels have {num_frames} frames, the clip {pictures.shape[0]}; label it again")
    return pictures.shape
