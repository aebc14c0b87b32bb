"""refined-flow: any length, any size, its shipped weights, and what its labels promise."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from labelers import make_labeler
from labelers.refined_flow import refining
from labelers.refined_flow.labeler import SHIPPED_SHA256
from labelers.refined_flow.pictures import PIXELS, Pictures
from labelers.refined_flow.windows import windows_of
from networks import build_model
from networks.weights import TrainingOrigin, TrainingSource, save_weights
from pipeline.audit.calibrating.shipped import shipped_calibrations
from pipeline.errors import ConfigError, DataError
from pipeline.records import ClipFrames, FramesInMemory
from tests.textured_plane import moving_frames

INNER = [(t, x, y) for t in (0, 3, 6) for x in (40, 63.5, 88.25) for y in (30, 47.75, 66)]


@pytest.fixture(scope="module")
def labeler():
    return make_labeler("refined-flow")


def test_a_moving_plane_is_followed_in_both_directions_of_time(labeler, moving_plane) -> None:
    velocity = np.array([1.3, -0.7])
    clip = moving_plane(INNER, velocity=velocity)
    labels = labeler.label([clip])[0]
    truth = clip.queries[:, 1:] + (np.arange(7)[:, None] - clip.queries[:, 0])[..., None] * velocity
    error_px = np.linalg.norm(labels.tracks_px - truth, axis=-1)
    assert error_px.mean() < 0.7
    assert error_px.max() < 3
    assert labels.visibility.mean() > 0.9


def test_at_the_query_a_track_is_its_query_with_full_confidence(labeler, moving_plane) -> None:
    labels = labeler.label([moving_plane(INNER, velocity=(1.3, -0.7))])[0]
    asked = (labels.queries[:, 0].astype(int), np.arange(len(INNER)))
    np.testing.assert_array_equal(labels.tracks_px[asked], labels.queries[:, 1:])
    np.testing.assert_array_equal(labels.confidence[asked], 1)
    assert labels.visibility[asked].all()
    assert (np.delete(labels.confidence[:, 0], 0) < 1).all()


def test_two_runs_give_the_same_bits_and_clips_do_not_touch_each_other(labeler, moving_plane, passing_bar) -> None:
    clips = [moving_plane(INNER, velocity=(0.4, 2.2)), passing_bar([(5, 20, 20)])]
    together, alone = labeler.label(clips), [make_labeler("refined-flow").label([clip])[0] for clip in reversed(clips)]
    for first, second in zip(together, reversed(alone), strict=True):
        for name in ("tracks_px", "visibility", "confidence"):
            np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize("num_frames", [1, 2, 47, 48, 49, 80, 81, 200])
def test_windows_decide_every_frame_once_and_look_at_both_sides_of_it(num_frames) -> None:
    windows = windows_of(num_frames)
    assert [t for window in windows for t in window.decided] == list(range(num_frames))
    for window in windows:
        assert len(window.seen) == min(48, num_frames)
        assert window.decided.start - window.seen.start >= (8 if window.decided.start > 0 else 0)
        assert window.seen.stop - window.decided.stop >= (8 if window.decided.stop < num_frames else 0)


def test_a_clip_of_many_windows_is_followed_from_end_to_end(labeler) -> None:
    frames = moving_frames((0.5, 0.0), num_frames=100, size=(48, 96))
    clip = ClipFrames(key="long", reader=FramesInMemory(frames), queries=np.float32([(0, 20, 24), (99, 80, 24), (50, 60, 30)]))
    labels = labeler.label([clip])[0]
    truth = clip.queries[:, 1:] + (np.arange(100)[:, None] - clip.queries[:, 0])[..., None] * [0.5, 0]
    inside = (truth[..., 0] >= 4) & (truth[..., 0] <= 91)
    error_px = np.linalg.norm(labels.tracks_px - truth, axis=-1)[inside]
    assert np.median(error_px) < 1.5
    assert np.quantile(error_px, 0.95) < 6


def test_points_and_query_frames_in_several_goes_say_the_same(labeler, moving_plane, monkeypatch) -> None:
    clip = moving_plane(INNER, velocity=(1.3, -0.7))
    whole = labeler.label([clip])[0]
    monkeypatch.setattr(refining, "POINTS_AT_ONCE", 5)
    monkeypatch.setattr(refining, "FRAMES_AT_ONCE", 2)
    parts = labeler.label([clip])[0]
    np.testing.assert_allclose(parts.tracks_px, whole.tracks_px, atol=1e-3)
    np.testing.assert_allclose(parts.confidence, whole.confidence, atol=1e-4)


@pytest.mark.parametrize(
    ("size", "kept"), [((192, 256), (192, 256)), ((1080, 1920), (160, 296)), ((40, 50), (40, 48)), ((17, 900), (16, 896))]
)
def test_frames_are_seen_in_their_shape_and_never_larger_than_they_are(size, kept) -> None:
    pictures = Pictures(FramesInMemory(np.zeros((1, *size, 3), np.uint8)))
    assert pictures.size == kept
    assert kept[0] * kept[1] <= PIXELS
    places = np.float32([[[-0.5, -0.5], [size[1] - 0.5, size[0] - 0.5], [3, 7]]])
    np.testing.assert_allclose(pictures.to_kept(places)[0, :2], [[-0.5, -0.5], [kept[1] - 0.5, kept[0] - 0.5]], atol=1e-4)
    np.testing.assert_allclose(pictures.from_kept(pictures.to_kept(places)), places, atol=1e-3)


def test_larger_frames_give_the_tracks_of_smaller_ones(labeler) -> None:
    small = moving_frames((1.0, 0.5), num_frames=6, size=(192, 256))
    large = small.repeat(2, axis=1).repeat(2, axis=2)
    queries = np.float32([(0, 60, 60), (3, 150, 100), (5, 200, 40)])
    twice = np.column_stack([queries[:, 0], (queries[:, 1:] + 0.5) * 2 - 0.5]).astype(np.float32)
    first = labeler.label([ClipFrames(key="a", reader=FramesInMemory(small), queries=queries)])[0]
    second = labeler.label([ClipFrames(key="b", reader=FramesInMemory(large), queries=twice)])[0]
    np.testing.assert_allclose((second.tracks_px + 0.5) / 2 - 0.5, first.tracks_px, atol=0.7)


def test_nothing_is_visible_outside_the_image(labeler, moving_plane) -> None:
    labels = labeler.label([moving_plane([(0, 118, 50), (0, 60, 50)], velocity=(3, 0), num_frames=30)])[0]
    inside = ((labels.tracks_px >= -0.5) & (labels.tracks_px <= [127.5, 95.5])).all(axis=-1)
    assert not (labels.visibility & ~inside).any()
    assert (np.abs(labels.tracks_px) <= 2 * 128 + 1).all()


def test_a_higher_threshold_calls_fewer_points_visible_and_moves_none(passing_bar) -> None:
    clip = passing_bar([(0, x, y) for x in range(20, 120, 20) for y in range(10, 90, 20)])
    low, high = (make_labeler("refined-flow", threshold=threshold).label([clip])[0] for threshold in (0.2, 0.8))
    assert high.visibility.sum() < low.visibility.sum()
    assert not (high.visibility & ~low.visibility).any()
    np.testing.assert_array_equal(low.tracks_px, high.tracks_px)


def test_clips_of_one_frame_and_of_no_queries_are_labelled(labeler, moving_plane) -> None:
    one, none = labeler.label([moving_plane([(0, 3, 4)], num_frames=1), moving_plane([])])
    np.testing.assert_array_equal(one.tracks_px, [[[3, 4]]])
    assert none.tracks_px.shape == (7, 0, 2)


def test_queries_are_added_where_few_tracks_are_left() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (12, 64, 96, 3), np.uint8)  # nothing can be followed
    clip = ClipFrames(key="noise", reader=FramesInMemory(frames), queries=np.float32([(0, 20, 20), (0, 60, 40)]))
    labels = make_labeler("refined-flow", reseed_below=1.0, reseed_every=2).label([clip])[0]
    assert labels.tracks_px.shape[1] > 2
    np.testing.assert_array_equal(labels.queries[:2], clip.queries)


def test_its_weights_come_with_the_package_and_are_named(labeler) -> None:
    made = labeler.provenance()
    assert (made.checkpoint, made.checkpoint_sha256) == ("trackmill:chain_refiner.safetensors", SHIPPED_SHA256)
    assert made.license == "Apache-2.0"
    assert [source["dataset"].split(",")[0] for source in made.parents["sources"]] == ["synthetic-studio", "synthetic-planes"]
    assert "memory_mb" not in made.options


def test_the_audit_s_calibration_is_of_these_weights_and_options(labeler) -> None:
    made = labeler.provenance()
    (record,) = (each for each in shipped_calibrations() if each.labeler == made.name)
    assert record.checkpoint_sha256 == made.checkpoint_sha256
    assert dict(record.options) == {**made.options, "jumps": [1, 2, 4, 8]}


def test_weights_of_one_s_own_are_read_strictly_and_hand_on_what_they_were_taught(tmp_path, moving_plane) -> None:
    file = str(tmp_path / "mine.safetensors")
    taught = TrainingSource(dataset="walks", labels=("dis-flow-00000000",), audit="dis-flow-00000000")
    model = build_model("chain-refiner", generator=torch.Generator().manual_seed(2))
    save_weights(file, model, license="Apache-2.0", origin=TrainingOrigin(sources=(taught,), licenses=("Apache-2.0",)))
    labeler = make_labeler("refined-flow", checkpoint=file, threshold=0.1)
    assert labeler.provenance().parents["sources"][0]["labels"] == ["dis-flow-00000000"]
    clip = moving_plane([(0, 60, 40)], velocity=(1.0, 0.5))
    untrained, chain = labeler.label([clip])[0], make_labeler("dis-flow", jumps=[1, 2, 4, 8]).label([clip])[0]
    np.testing.assert_allclose(untrained.tracks_px, chain.tracks_px, atol=0.05)  # it begins at the chain
    with pytest.raises(ConfigError, match="sha256"):
        make_labeler("refined-flow", checkpoint=file, sha256="0" * 64)
    with pytest.raises(ConfigError, match="sha256"):
        make_labeler("refined-flow", sha256="0" * 64)
    save_weights(file, build_model("cotracker3-online", {"model_resolution": (32, 32)}))
    with pytest.raises(ConfigError, match="chain-refiner"):
        make_labeler("refined-flow", checkpoint=file)


@pytest.mark.parametrize(("option", "value"), [("threshold", 1.5), ("reseed_every", 0), ("memory_mb", -1), ("device", "tpu9")])
def test_a_value_out_of_range_is_refused_by_the_option_s_name(option, value) -> None:
    with pytest.raises(ConfigError, match=option):
        make_labeler("refined-flow", **{option: value})


def test_frames_may_come_one_by_one_from_a_reader(labeler, moving_plane) -> None:
    clip = moving_plane(INNER, velocity=(1.3, -0.7))

    class Streamed:
        shape = clip.reader.shape

        def __iter__(self):
            return (frame.copy() for frame in clip.reader.frames)

    streamed = labeler.label([replace(clip, reader=Streamed())])[0]
    np.testing.assert_array_equal(streamed.tracks_px, labeler.label([clip])[0].tracks_px)


def test_clips_that_cannot_be_chained_are_named(labeler, moving_plane) -> None:
    thin = ClipFrames(key="thin", reader=FramesInMemory(np.zeros((3, 8, 90, 3), np.uint8)), queries=np.zeros((1, 3), np.float32))
    with pytest.raises(DataError, match="clip thin: frames are 90x8"):
        labeler.label([thin])
    clip = moving_plane(INNER)

    class Grey:
        shape = clip.reader.shape

        def __iter__(self):
            return (frame[..., 0] for frame in clip.reader.frames)

    with pytest.raises(DataError, match="plane: frame 0 is"):
        labeler.label([replace(clip, reader=Grey())])
