"""Turned and mirrored pictures stand as a player shows them."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.video.copy import copy_spans
from pipeline.video.encode import EncodePolicy, encode_spans
from pipeline.video.groups import Span
from pipeline.video.open import open_video, to_rgb
from pipeline.video.orientation import UPRIGHT, orientation_of_matrix
from pipeline.video.probe import VideoProbe, probe_video

UNIT = 1 << 16
# stored point (x, y) -> shown (a x + c y, b x + d y), y down; beside it what ffplay does with the stored picture, in numpy
TURNS = {
    "as stored": ((1, 0, 0, 1), lambda p: p),
    "hflip": ((-1, 0, 0, 1), lambda p: p[:, ::-1]),
    "vflip": ((1, 0, 0, -1), lambda p: p[::-1]),
    "half turn": ((-1, 0, 0, -1), lambda p: p[::-1, ::-1]),
    "clockwise": ((0, 1, -1, 0), lambda p: np.rot90(p, -1)),
    "counter-clockwise": ((0, -1, 1, 0), lambda p: np.rot90(p, 1)),
    "transposed": ((0, 1, 1, 0), lambda p: p.transpose(1, 0, 2)),
    "transposed the other way": ((0, -1, -1, 0), lambda p: np.rot90(p, 2).transpose(1, 0, 2)),
}


def stored_picture() -> np.ndarray:
    """48 high, 64 wide: four quarters, all different."""
    corners = np.array([[[200, 60, 40], [40, 160, 70]], [[50, 60, 190], [235, 235, 235]]], np.uint8)
    return np.repeat(np.repeat(corners, 24, 0), 32, 1)


def write_turned(path: Path, matrix: tuple[int, ...]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "4", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        a, b, c, d = (value * UNIT for value in matrix)
        stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        for index in range(4):
            frame = av.VideoFrame.from_ndarray(stored_picture(), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def clips_of(path: Path) -> tuple[VideoProbe, bytes, bytes]:
    """Probe, copy, re-encoded clip."""
    probe = probe_video(str(path), path.name)
    ((_, copied),) = copy_spans(str(path), path.name, probe, [Span(0, 4)])
    ((_, encoded),) = encode_spans(str(path), path.name, probe, [Span(0, 4)], EncodePolicy(quality=4))
    assert isinstance(encoded, bytes)
    return probe, copied, encoded


def quarters(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    return picture[height // 4 :: height // 2, width // 4 :: width // 2].astype(int)


@pytest.mark.parametrize("name", TURNS)
def test_a_picture_stands_as_players_show_it_copied_or_encoded(name, tmp_path):
    matrix, turn = TURNS[name]
    expected = turn(stored_picture())
    probe, copied, encoded = clips_of(write_turned(tmp_path / "a.mp4", matrix))
    assert (probe.height, probe.width) == expected.shape[:2]
    for data in (copied, encoded):
        with open_video(data, "clip") as (container, stream):
            pictures = [to_rgb(frame) for frame in container.decode(stream)]
        assert len(pictures) == 4
        assert pictures[2].shape == expected.shape
        assert np.abs(quarters(pictures[2]) - quarters(expected)).max() <= 4
    with av.open(io.BytesIO(encoded)) as container:  # any reader sees the pixels upright
        assert np.abs(quarters(next(container.decode(video=0)).to_ndarray(format="rgb24")) - quarters(expected)).max() <= 4
    mirrored = np.linalg.det(np.reshape(matrix, (2, 2))) < 0
    assert probe.picture.mirrored == mirrored
    assert ("mirrored" in probe.picture.needs_encoding) == mirrored


def test_a_resized_picture_is_turned_too(tmp_path):
    path = write_turned(tmp_path / "a.mp4", TURNS["transposed"][0])
    with open_video(str(path), "a") as (container, stream):
        small = to_rgb(next(container.decode(stream)), (32, 24))
    assert small.shape == (32, 24, 3)
    assert np.abs(quarters(small) - quarters(stored_picture().transpose(1, 0, 2))).max() <= 6


def test_a_matrix_between_quarter_turns_is_rounded_and_says_so():
    angle = np.radians(100)  # clockwise
    turned = orientation_of_matrix(np.array([np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)]))
    clockwise = orientation_of_matrix(np.array([0.0, 1, -1, 0]))
    assert (turned.swapped, turned.flipped_x, turned.flipped_y) == (clockwise.swapped, clockwise.flipped_x, clockwise.flipped_y)
    assert (turned.rounded_deg, clockwise.rounded_deg) == (10, 0)


def test_a_matrix_that_shows_nothing_is_ignored():
    assert orientation_of_matrix(np.zeros(4)) == UPRIGHT
