"""Which frames are shown, and what of the tracks is drawn on them, by hand."""

import base64
from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipeline.audit.report.clip_pictures import (
    LONG_SIDE,
    MAX_FRAMES,
    MAX_TRACKS,
    SUBPIXELS,
    animation_window,
    drawing_order,
    frame_likeness,
    likeness_raster,
    shown_size,
    sprite,
    still_window,
    track_document,
    visibility_raster,
)
from pipeline.drawing.style import HIDDEN, UNKNOWN, ramp
from pipeline.video.reader import read_clip_frames
from tests.unit.pipeline.audit.report.audited import FPS, WEIGHT, H, T, W, record, tracks, video


@pytest.mark.parametrize(
    ("num_frames", "fps", "count", "step", "rate"),
    [(24, 12.0, 24, 1, 12.0), (48, 30.0, 16, 3, 10.0), (900, 30.0, 30, 3, 10.0), (900, 24.0, 36, 2, 12.0), (1, 30.0, 1, 1, 10.0)],
)
def test_at_most_three_seconds_in_real_time(num_frames: int, fps: float, count: int, step: int, rate: float) -> None:
    window = animation_window(num_frames, fps, None)
    assert len(window.frames) == count <= MAX_FRAMES
    assert window.rate == pytest.approx(rate)
    assert set(np.diff(window.frames)) <= {step}


@pytest.mark.parametrize("fps", [0.5, 11.9, 12.1, 23.976, 29.97, 59.94, 240.0])
def test_no_rate_leads_beyond_the_limits(fps: float) -> None:
    window = animation_window(10_000, fps, None)
    assert len(window.frames) <= MAX_FRAMES
    assert window.rate <= 12.0 + 1e-6
    assert window.frames[-1] < 10_000


def test_of_a_long_clip_the_window_of_least_likeness_is_shown() -> None:
    likeness = np.full(100, 0.9)
    likeness[50:60] = 0.1
    likeness[[0, 55]] = np.nan
    assert animation_window(100, 4.0, likeness).frames == tuple(range(48, 60))  # the earliest of the windows that hold the dip
    assert animation_window(100, 4.0, np.full(100, np.nan)).frames[0] == 0


def test_likeness_of_a_frame_counts_what_is_seen_and_known() -> None:
    ncc = np.array([[0.2, 0.4, 0.9], [np.nan, 0.5, 0.7], [np.nan, 0.1, 0.1]], np.float32)
    visible = np.array([[1, 1, 0], [1, 0, 1], [1, 0, 0]], bool)
    np.testing.assert_allclose(frame_likeness(ncc, visible), [0.3, 0.7, np.nan], rtol=1e-6)


def test_stills_are_spread_over_the_clip() -> None:
    assert still_window(10).frames == (0, 3, 6, 9)
    assert still_window(2).frames == (0, 1)


def test_the_sprite_holds_the_frames_in_rows_of_six() -> None:
    data = video()
    clip = record("good", data)
    frames = tuple(range(0, 16, 2))
    sheet = cv2.imdecode(np.frombuffer(sprite(data, clip, frames), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert sheet.shape == (2 * H, 6 * W, 3)
    wanted = read_clip_frames(data, clip, indices=frames).astype(int)
    for place, frame in enumerate(wanted):
        top, left = place // 6 * H, place % 6 * W
        assert np.abs(sheet[top : top + H, left : left + W] - frame).mean() < 8


def test_large_frames_are_shown_with_a_long_side_of_320() -> None:
    data = video()
    assert shown_size(record("good", data)) == (H, W)
    assert shown_size(replace(record("good", data), height=1080, width=1920)) == (180, LONG_SIDE)
    assert shown_size(replace(record("good", data), height=1920, width=1080)) == (LONG_SIDE, 180)


def decoded(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_the_visibility_raster_tells_seen_from_hidden_and_marks_queries() -> None:
    picture = decoded(visibility_raster(tracks(), WEIGHT, np.arange(5)))
    assert picture.shape == (5, T, 3)
    assert tuple(picture[2, 20]) == HIDDEN
    assert tuple(picture[1, 20]) == tuple(ramp()[-1])
    assert tuple(picture[2, 5]) == tuple(ramp()[0])
    assert {tuple(pixel) for pixel in picture[:, 0]} == {(255, 255, 255)}


def test_the_likeness_raster_shows_what_is_unknown_and_what_is_hidden() -> None:
    ncc = np.full((T, 5), 1.0, np.float32)
    ncc[3, 1] = np.nan
    picture = decoded(likeness_raster(tracks(), ncc, np.array([1, 2])))
    assert [tuple(picture[0, 3]), tuple(picture[0, 4]), tuple(picture[1, 20])] == [UNKNOWN, tuple(ramp()[-1]), HIDDEN]


def test_the_worst_tracks_are_drawn_last() -> None:
    np.testing.assert_array_equal(drawing_order(WEIGHT), [1, 3, 4, 0, 2])
    many = np.linspace(0, 1, 3 * MAX_TRACKS, dtype=np.float32)
    order = drawing_order(many)
    assert len(order) == MAX_TRACKS
    assert many[order[0]] == 1
    assert many[order[-1]] == 0
    np.testing.assert_allclose(many[order].mean(), 0.5, atol=0.01)


def unpacked(text: str, dtype: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype)


def test_tracks_are_packed_in_pixels_of_the_picture() -> None:
    labels, window = tracks(), animation_window(T, FPS, None)
    document = track_document(labels, WEIGHT, window, stored=(H, W), shown=(H // 2, W // 2))
    order = drawing_order(WEIGHT)
    points = unpacked(document["points"], "<i2").reshape(T, 5, 2) / SUBPIXELS
    np.testing.assert_allclose(points, (labels.tracks_px[:, order] + 0.5) / 2 - 0.5, atol=0.5 / SUBPIXELS)
    bits = np.unpackbits(unpacked(document["visible"], "u1"), bitorder="little")[: T * 5].reshape(T, 5)
    np.testing.assert_array_equal(bits, labels.visibility[:, order])
    np.testing.assert_array_equal(unpacked(document["weight"], "u1"), [31, 19, 12, 6, 0])


def test_a_query_between_shown_frames_appears_on_the_next_and_one_outside_the_window_never() -> None:
    labels = tracks()
    labels = replace(labels, queries=np.column_stack([[0, 29, 30, 31, 90], labels.queries[:, 1:]]).astype(np.float32))
    wide = replace(labels, tracks_px=np.zeros((100, 5, 2), np.float32), visibility=np.ones((100, 5), bool))
    likeness = np.ones(100)
    likeness[30:60] = 0
    window = animation_window(100, 10.0 * 3, likeness)
    document = track_document(wide, np.linspace(1, 0, 5, dtype=np.float32), window, stored=(H, W), shown=(H, W))
    first = window.frames[0]
    expected = [-1 if frame < first - 2 or frame > window.frames[-1] else -((first - frame) // 3) for frame in (0, 29, 30, 31, 90)]
    assert unpacked(document["query"], "<i2").reshape(5, 3)[:, 0].tolist() == expected
