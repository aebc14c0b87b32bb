import numpy as np
import pytest

from pipeline.drawing import SheetCell, clip_cell, contact_sheet, spread_frames
from pipeline.drawing.legend import Font, elide, text_width
from pipeline.drawing.sheet import CELL_WIDTH, MAX_PANELS
from pipeline.drawing.style import colour_indices, palette
from pipeline.errors import ConfigError, DataError
from pipeline.records import TrackLabels


def still_clip(num_frames: int, height: int, width: int) -> tuple[np.ndarray, TrackLabels]:
    """A grey clip with one point, visible, at the centre of the image."""
    frames = np.full((num_frames, height, width, 3), 100, np.uint8)
    centre = np.array([(width - 1) / 2, (height - 1) / 2], np.float32)
    labels = TrackLabels(
        queries=np.array([[0, *centre]], np.float32),
        tracks_px=np.broadcast_to(centre, (num_frames, 1, 2)).copy(),
        visibility=np.ones((num_frames, 1), bool),
    )
    return frames, labels


def test_frames_are_spread_from_the_first_to_the_last():
    assert spread_frames(48, 4) == [0, 16, 31, 47]
    assert spread_frames(2, 2) == [0, 1]
    assert spread_frames(9, 1) == [4]


@pytest.mark.parametrize(
    ("height", "width", "num_panels"), [(288, 512, 4), (480, 368, 9), (512, 288, 12), (100, 700, 1), (40, 2000, 1), (2000, 20, MAX_PANELS)]
)
def test_a_cell_holds_as_many_panels_as_fit(height, width, num_panels):
    frames, labels = still_clip(20, height, width)
    strip = clip_cell("k", frames, labels).strip
    assert strip.shape[1] <= CELL_WIDTH
    assert 1 <= strip.shape[0] <= 260
    gaps = (strip == strip[0, -1] * 0 + np.array([24, 25, 29])).all(axis=(0, 2))
    starts = np.flatnonzero(np.diff(np.concatenate([[True], gaps]).astype(int)) == -1)
    assert len(starts) == num_panels


def test_a_short_clip_shows_each_frame_once():
    frames, labels = still_clip(2, 288, 512)
    frames[1] = 200
    strip = clip_cell("k", frames, labels).strip
    assert strip.shape[1] == 2 * 320 + 8
    assert (strip[2, 2] == 100).all()
    assert (strip[2, -2] == 200).all()


def test_tracks_lie_where_they_belong_after_resizing():
    frames, labels = still_clip(1, 720, 1280)
    labels.tracks_px[:] = labels.queries[:, 1:] = [319.5, 179.5]  # a quarter of the way: the corner between four pixels
    strip = clip_cell("k", frames, labels).strip
    assert strip.shape[:2] == (180, 320)
    colour = palette()[colour_indices(labels.queries, 720, 1280)[0]].astype(int)
    rows, columns = np.nonzero(np.abs(strip.astype(int) - colour).sum(axis=-1) < 30)
    assert (columns.mean(), rows.mean()) == pytest.approx((79.5, 44.5), abs=0.05)


def test_the_caption_tells_frames_size_and_share_visible():
    frames, labels = still_clip(4, 30, 40)
    labels.visibility[0] = False
    assert clip_cell("k", frames, labels).note == "4 frames   40 x 30   1 track   75 % visible"
    assert clip_cell("k", frames, None, note="screened: dark").note == "4 frames   40 x 30   no tracks   screened: dark"


def test_a_clip_without_tracks_shows_its_plain_frames():
    frames, _ = still_clip(4, 288, 512)
    strip = clip_cell("k", frames, None).strip
    assert (strip[:150, :320] == 100).all()


def test_the_sheet_holds_title_cells_and_captions_and_grows_with_them():
    cells = [clip_cell(f"clip-{index}", *still_clip(4, 288, 512)) for index in range(3)]
    one, two = (contact_sheet(cells, title="lucas-kanade-00000000", columns=columns) for columns in (1, 2))
    assert one.shape == (76 + 3 * (cells[0].strip.shape[0] + 34) + 24, CELL_WIDTH + 48, 3)
    assert two.shape[1] == 2 * CELL_WIDTH + 72
    assert two.shape[0] == one.shape[0] - (cells[0].strip.shape[0] + 34)
    height = cells[0].strip.shape[0]
    np.testing.assert_array_equal(one[76 : 76 + height, 24 : 24 + cells[0].strip.shape[1]], cells[0].strip)


def test_text_keeps_off_the_margin_the_legend_and_the_next_cell():
    ground = np.array([24, 25, 29])
    cell = clip_cell("k", *still_clip(4, 288, 512))
    cells = [SheetCell(key="key" * 60, note="many words " * 60, strip=cell.strip)] * 4
    short, long = (contact_sheet(cells, title=text, subtitle=text, columns=2) for text in ("", "a very long title " * 40))
    assert (long[:, :20] == ground).all()
    assert (long[:, -22:] == ground).all()
    assert (long[:, 24 + CELL_WIDTH + 2 : 48 + CELL_WIDTH - 2][76:] == ground).all()
    legend = np.flatnonzero((short[:76] != ground).any(axis=(0, 2)))[0]
    np.testing.assert_array_equal(long[:46, legend - 20 :], short[:46, legend - 20 :])  # the title keeps off the legend
    assert (long[46:76, legend:] != ground).any()  # the subtitle has the width to itself ...
    assert (long[:46, : legend - 20] != ground).any()
    ramped, plain = (
        contact_sheet(cells, title="", subtitle=text, ramp=palette(), columns=2) for text in ("a very long subtitle " * 40, "")
    )
    ramp = np.flatnonzero((plain[50:76] != ground).any(axis=(0, 2)))[0]
    np.testing.assert_array_equal(ramped[:76, ramp - 20 :], plain[:76, ramp - 20 :])  # ... but for the colours of weights
    bottom = 76 + cell.strip.shape[0]
    assert (long[bottom : bottom + 4] == ground).all()  # captions do not run into the frames above
    assert (long[-24:] == ground).all()


def test_an_empty_sheet_is_its_header():
    assert contact_sheet([], title="nothing").shape == (100, CELL_WIDTH + 48, 3)


def test_long_text_loses_its_middle_and_keeps_its_ends():
    font = Font()
    text = "a-long-name-of-a-source-3fa91c22-w0003"
    short = elide(text, 120, font)
    assert text_width(short, font) <= 120
    assert short.startswith("a-lo")
    assert short.endswith("0003")
    assert "..." in short
    assert elide(text, 10_000, font) == text
    assert elide(text, 3, font) == ""


def test_what_cannot_be_laid_out_is_refused():
    frames, labels = still_clip(4, 30, 40)
    with pytest.raises(DataError, match="clip k: 3 frames, labels of 4"):
        clip_cell("k", frames[:3], labels)
    with pytest.raises(DataError, match="clip k: 0 frames"):
        clip_cell("k", frames[:0], None)
    with pytest.raises(ConfigError, match="0 columns"):
        contact_sheet([], title="x", columns=0)
