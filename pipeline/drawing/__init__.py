"""Tracks drawn on frames, contact sheets, and the files that hold them: people look at tracks before they believe them."""

from pipeline.drawing.media import ANIMATION_SUFFIXES, IMAGE_SUFFIXES, write_animation, write_image
from pipeline.drawing.sheet import SheetCell, clip_cell, contact_sheet, spread_frames
from pipeline.drawing.style import TrackColours, TrackStyle
from pipeline.drawing.tracks import draw_frame, draw_tracks

__all__ = [
    "ANIMATION_SUFFIXES",
    "IMAGE_SUFFIXES",
    "SheetCell",
    "TrackColours",
    "TrackStyle",
    "clip_cell",
    "contact_sheet",
    "draw_frame",
    "draw_tracks",
    "spread_frames",
    "write_animation",
    "write_image",
]
