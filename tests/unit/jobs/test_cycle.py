"""The way back: frames in reverse, the distance by hand, and what is stored is what tracking again finds."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest

from jobs.labeling.cycle import ReversedFrames, followed_back, with_cycle_error
from labelers import make_labeler
from pipeline.audit.tracks.cycle import cycle_measures
from pipeline.errors import DataError
from pipeline.labels import LabelRow, decode_row, encode_rows
from pipeline.metrics.tapvid_counts import length_to_raster
from pipeline.records import ClipFrames, FramesInMemory, TrackLabels

T, H, W = 6, 16, 64


@dataclass
class Stream:
    """A reader that is no array, and counts the frames that it gives."""

    frames: np.ndarray
    promised: int | None = None
    num_given: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        num_frames, height, width, _ = self.frames.shape
        return self.promised or num_frames, height, width

    def __iter__(self):
        for frame in self.frames:
            self.num_given += 1
            yield frame


class Drifting:
    """Moves every point by the same step in every frame, whatever it is shown; adds a track of its own, as one that re-seeds does."""

    def __init__(self, step: tuple[float, float]) -> None:
        self.step = np.array(step)

    def label(self, clips):
        return [self.label_one(clip) for clip in clips]

    def label_one(self, clip: ClipFrames) -> TrackLabels:
        queries = np.concatenate([clip.queries, np.float32([[0, 1, 1]])])
        frame = np.arange(clip.reader.shape[0])[:, None]
        tracks = queries[:, 1:] + (frame - queries[:, 0])[..., None] * self.step
        return TrackLabels(queries=queries, tracks_px=tracks.astype(np.float32), visibility=np.ones(tracks.shape[:2], bool))


def frames(num_frames: int = T) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (num_frames, H, W, 3), np.uint8)


def clip(*queries: tuple[float, float, float]) -> ClipFrames:
    return ClipFrames(key="a-w0000", reader=FramesInMemory(frames()), queries=np.array(queries, np.float32))


@pytest.mark.parametrize(("block", "num_read"), [(1, 21), (2, 2 + 4 + 6), (4, 6 + 2), (6, 6), (99, 6)])
def test_a_stream_is_read_backwards_block_by_block(block, num_read):
    stream = Stream(frames())
    backwards = ReversedFrames(stream, block_bytes=block * H * W * 3)
    assert backwards.shape == (T, H, W)
    np.testing.assert_array_equal(np.stack(list(backwards)), frames()[::-1])
    assert stream.num_given == num_read
    np.testing.assert_array_equal(np.stack(list(backwards)), frames()[::-1])


def test_frames_in_memory_are_shown_backwards_as_they_lie():
    array = frames()
    shown = list(ReversedFrames(FramesInMemory(array)))
    np.testing.assert_array_equal(np.stack(shown), array[::-1])
    assert all(np.shares_memory(frame, array) and frame.flags.c_contiguous for frame in shown)


def test_a_stream_that_ends_early_is_an_error():
    with pytest.raises(DataError, match="frames end after 6 of 9"):
        list(ReversedFrames(Stream(frames(), promised=9)))


@pytest.mark.parametrize(
    ("step", "query", "error"),
    [
        ((2.0, 0.0), (0, 10.0, 8.0), 20 * 0.5),  # 5 steps there and 5 back, 2 px each; along x they count sqrt(16 / 64)
        ((0.0, 0.5), (0, 10.0, 4.0), 5 * 2.0),  # along y sqrt(64 / 16)
        ((2.0, 0.0), (3, 10.0, 8.0), 8 * 0.5),  # from the query, 2 steps there and 2 back
    ],
)
def test_the_distance_after_there_and_back(step, query, error):
    labeler, asked = Drifting(step), clip(query)
    (labels,) = labeler.label([asked])
    back = followed_back(labeler, asked, labels)
    np.testing.assert_allclose(back.queries[0], [0, *(np.array(query[1:]) + (T - 1 - query[0]) * np.array(step))])
    measured = with_cycle_error(asked, labels, back)
    assert measured.cycle_error_px.shape == (2,)  # of the clip's own tracks; what the way back added is not looked at
    assert measured.cycle_error_px[0] == pytest.approx(error)
    assert measured.degraded is None


def test_what_is_said_of_the_way_back_is_noted():
    labeler, asked = Drifting((1, 0)), clip((0, 5, 5))
    (labels,) = labeler.label([asked])
    back = replace(followed_back(labeler, asked, labels), degraded="64 points at a time")
    measured = with_cycle_error(asked, replace(labels, degraded="rung 1"), back)
    assert measured.degraded == "rung 1; the way back: 64 points at a time"


@pytest.mark.parametrize("name", ["dis-flow", "lucas-kanade"])
def test_an_audit_finds_in_the_stored_error_what_it_finds_when_it_tracks_again(name):
    labeler, shown = make_labeler(name), moving_texture()
    (labels,) = labeler.label([shown])
    measured = with_cycle_error(shown, labels, followed_back(labeler, shown, labels))
    height, width = shown.reader.shape[1:]
    row = LabelRow(key=shown.key, status="ok", labels=measured, clip_sha256="ab", num_frames=12, height=height, width=width)
    stored = decode_row(encode_rows([row]), 0).labels
    again = cycle_measures(stored, followed_back(labeler, shown, stored), height=height, width=width)
    np.testing.assert_allclose(length_to_raster(stored.cycle_error_px, height, width), again.fb_cycle, rtol=1e-5)
    known = measured.cycle_error_px[~np.isnan(measured.cycle_error_px)]
    assert len(known) >= 20
    assert np.median(known) < 0.2


def moving_texture() -> ClipFrames:
    noise = cv2.GaussianBlur(np.random.default_rng(0).random((96, 160, 3)), (0, 0), 2.0)
    picture = np.uint8(255 * (noise - noise.min()) / (noise.max() - noise.min()))
    shown = np.stack([picture[12 - t : 76 - t, 24 - 2 * t : 120 - 2 * t] for t in range(12)])
    grid = np.stack(np.meshgrid(np.linspace(8, 60, 6), np.linspace(8, 48, 5)), -1).reshape(-1, 2)
    queries = np.column_stack([np.zeros(len(grid)), grid]).astype(np.float32)
    return ClipFrames(key="moving-w0000", reader=FramesInMemory(shown), queries=queries)
