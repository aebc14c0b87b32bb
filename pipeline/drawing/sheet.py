"""A contact sheet: every clip of a label set at a glance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from pipeline.drawing.depth import depth_legend_width, draw_depth_legend
from pipeline.drawing.flow import draw_flow_legend, flow_legend_width
from pipeline.drawing.legend import Font, draw_legend, draw_ramp, elide, legend_width, ramp_width, text_width, write_line, write_tag
from pipeline.drawing.style import TrackStyle
from pipeline.drawing.tracks import draw_frame
from pipeline.errors import ConfigError, DataError
from pipeline.records import TrackLabels

CELL_WIDTH = 1304  # four panels of 16:9 at the panels' height, and the gaps between
PANEL_HEIGHT = 180
MAX_PANELS = 12
_GAP, _MARGIN, _CAPTION, _HEADER = 8, 24, 34, 76
_GROUND = (24, 25, 29)
_TITLE = Font(scale=0.8)
Legend = Literal["tracks", "depth", "flow"]
_LEGENDS = {
    "tracks": (legend_width, draw_legend),
    "depth": (depth_legend_width, draw_depth_legend),
    "flow": (flow_legend_width, draw_flow_legend),
}
_STRONG, _SOFT, _TAG = Font(), Font(colour=(160, 162, 170)), Font(scale=0.42)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SheetCell:
    """One clip of the sheet: a strip of frames with tracks, and its caption."""

    key: str
    note: str  # frames, size, share visible, or why there are no tracks
    strip: np.ndarray  # uint8 "h w 3", w at most CELL_WIDTH


def clip_cell(
    key: str,
    frames: np.ndarray,
    labels: TrackLabels | None,
    *,
    note: str = "",
    style: TrackStyle | None = None,
    legend: Legend = "tracks",
    numbers: Sequence[int] | None = None,
) -> SheetCell:
    """Draw a clip's cell: as many frames, spread in time, as fit side by side.

    Args:
        frames: uint8 "T H W 3", RGB: the whole clip.
        labels: tracks of these frames, or None for a clip without; then `note` should say why.
        note: shown behind the key, size and share visible.
        legend: of what the sheet shows; a sheet of depth or flow says nothing of tracks.
        numbers: of the frames, where they are some of a longer video; None counts them from 0.
    Raises: DataError, naming the clip, if there is no frame, or labels of another length.
    """
    num_frames, height, width = frames.shape[:3]
    if num_frames == 0 or (labels is not None and len(labels.tracks_px) != num_frames):
        found = "no labels" if labels is None else f"labels of {len(labels.tracks_px)}"
        raise DataError(f"clip {key}: {num_frames} frames, {found}; draw labels on the clip that they belong to")
    count, panel_width, panel_height = _panels(num_frames, height, width)
    small = None if labels is None else _resized(labels, (height, width), (panel_height, panel_width))
    panels = []
    for t in spread_frames(num_frames, count):
        panels.append(_panel(frames[t], small, t, size=(panel_width, panel_height), style=style))
        write_tag(panels[-1], f"frame {t if numbers is None else numbers[t]}", _TAG)
    strip = np.full((panel_height, count * (panel_width + _GAP) - _GAP, 3), _GROUND, np.uint8)
    for place, panel in enumerate(panels):
        strip[:, place * (panel_width + _GAP) :][:, :panel_width] = panel
    facts = [f"{num_frames} frames", f"{width} x {height}", *(_facts(labels) if legend == "tracks" else []), *([note] if note else [])]
    return SheetCell(key=key, note="   ".join(facts), strip=strip)


def contact_sheet(
    cells: Sequence[SheetCell],
    *,
    title: str,
    subtitle: str = "",
    columns: int = 1,
    ramp: np.ndarray | None = None,
    legend: Legend = "tracks",
) -> np.ndarray:
    """Lay cells out under a title and a legend. Text that is too long is shortened, so that nothing overlaps or is cut.

    Args:
        ramp: uint8 "K 3", the colours of weights 0 to 1 where tracks are drawn in these; the legend then says so.
        legend: of what is drawn on the clips.
    Returns: uint8 "H W 3", RGB.
    Raises: ConfigError if `columns` is not positive.
    """
    if columns < 1:
        raise ConfigError(f"a sheet of {columns} columns; expected at least 1")
    columns = max(1, min(columns, len(cells)))
    rows = [cells[first : first + columns] for first in range(0, len(cells), columns)]
    row_heights = [max(cell.strip.shape[0] for cell in row) + _CAPTION for row in rows]
    width = 2 * _MARGIN + columns * (CELL_WIDTH + _MARGIN) - _MARGIN
    image = np.full((_HEADER + sum(row_heights) + _MARGIN, width, 3), _GROUND, np.uint8)
    _draw_header(image, title, subtitle, ramp, legend)
    top = _HEADER
    for row, height in zip(rows, row_heights, strict=True):
        for column, cell in enumerate(row):
            _place(image, cell, left=_MARGIN + column * (CELL_WIDTH + _MARGIN), top=top)
        top += height
    return image


def spread_frames(num_frames: int, count: int) -> list[int]:
    """`count` frame indices spread evenly over a clip, first and last included; a single one is the middle."""
    if count == 1:
        return [num_frames // 2]
    return [round(index * (num_frames - 1) / (count - 1)) for index in range(count)]


def _panels(num_frames: int, height: int, width: int) -> tuple[int, int, int]:
    """Number, width and height of a clip's panels: about PANEL_HEIGHT high, and filling the cell's width where the clip allows."""
    at_height = width * PANEL_HEIGHT / height
    wanted = max(1, round((CELL_WIDTH + _GAP) / (at_height + _GAP)))
    count = min(MAX_PANELS, num_frames, wanted)
    panel_width = (CELL_WIDTH + _GAP) // count - _GAP if count == wanted else round(at_height)
    return count, max(1, panel_width), max(1, round(height * panel_width / width))


def _panel(frame: np.ndarray, labels: TrackLabels | None, t: int, *, size: tuple[int, int], style: TrackStyle | None) -> np.ndarray:
    shrinks = size[1] < frame.shape[0]
    panel = cv2.resize(frame, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    if labels is not None:
        panel = draw_frame(panel, labels, t, style=style)
    return panel


def _resized(labels: TrackLabels, old: tuple[int, int], new: tuple[int, int]) -> TrackLabels:
    """Labels for frames resized from `old` to `new` (height, width)."""
    scale = np.array([new[1] / old[1], new[0] / old[0]], np.float32)
    queries = labels.queries.copy()
    queries[:, 1:] = (queries[:, 1:] + 0.5) * scale - 0.5
    tracks = ((labels.tracks_px + 0.5) * scale - 0.5).astype(np.float32)
    return TrackLabels(queries=queries, tracks_px=tracks, visibility=labels.visibility)


def _facts(labels: TrackLabels | None) -> list[str]:
    if labels is None:
        return ["no tracks"]
    share = [f"{100 * labels.visibility.mean():.0f} % visible"] if labels.visibility.size else []
    num_tracks = labels.tracks_px.shape[1]
    return [f"{num_tracks} track{'' if num_tracks == 1 else 's'}", *share]


def _draw_header(image: np.ndarray, title: str, subtitle: str, ramp: np.ndarray | None, legend: Legend) -> None:
    across, draw = _LEGENDS[legend]
    inside = image.shape[1] - 2 * _MARGIN
    below = 0 if ramp is None else ramp_width(_SOFT) + _MARGIN  # the line of the subtitle has room where no ramp stands
    write_line(image, title, (_MARGIN, 36), _TITLE, width=inside - across(_SOFT) - _MARGIN)
    write_line(image, subtitle, (_MARGIN, 62), _SOFT, width=inside - below)
    draw(image, (image.shape[1] - _MARGIN - across(_SOFT), 36), _SOFT)
    if ramp is not None:
        draw_ramp(image, (image.shape[1] - _MARGIN - ramp_width(_SOFT), 62), _SOFT, ramp)


def _place(image: np.ndarray, cell: SheetCell, *, left: int, top: int) -> None:
    height, width = cell.strip.shape[:2]
    image[top : top + height, left : left + width] = cell.strip
    baseline = top + height + 20
    note = elide(cell.note, CELL_WIDTH * 2 // 3, _SOFT)
    room = CELL_WIDTH - text_width(note, _SOFT) - _MARGIN
    taken = write_line(image, cell.key, (left, baseline), _STRONG, width=room)
    write_line(image, note, (left + taken + 16, baseline), _SOFT, width=CELL_WIDTH - taken - 16)
