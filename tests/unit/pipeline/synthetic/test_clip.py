from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pipeline.records.truth import TruthClip
from pipeline.synthetic import clip as clip_module
from pipeline.synthetic.clip import film
from pipeline.synthetic.domains import domain_named
from pipeline.synthetic.filming.frames import FrameMaker
from pipeline.synthetic.filming.imaging import Imaging, develop
from pipeline.synthetic.staging import ClipRequest, stage

SIZE, NUM_FRAMES = (84, 112), 8
FIELDS = ("frames", "depth", "dynamic_mask", "camera_to_world", "tracks2d", "tracks3d", "tracks3d_world", "visibility", "query_frame")


def request_for(domain: str, number: int = 0, seed: int = 5) -> ClipRequest:
    return ClipRequest(domain=domain_named(domain), seed=seed, number=number, num_frames=NUM_FRAMES, size=SIZE)


@pytest.fixture(scope="module")
def clips() -> Callable[[str, int], TruthClip]:
    filmed: dict[tuple[str, int], TruthClip] = {}

    def get(domain: str, number: int = 0) -> TruthClip:
        if (domain, number) not in filmed:
            filmed[domain, number] = film(request_for(domain, number), num_tracks=192)
        return filmed[domain, number]

    return get


@pytest.mark.parametrize("domain", ["studio", "wild"])
def test_equal_requests_are_equal_bytes_and_other_numbers_other_clips(clips: Callable[..., TruthClip], domain: str) -> None:
    clip, again = clips(domain), film(request_for(domain), num_tracks=192)
    for name in FIELDS:
        assert getattr(clip, name).tobytes() == getattr(again, name).tobytes(), name
    assert clip.meta == again.meta
    assert (clips(domain, 1).frames != clip.frames).mean() > 0.5


@pytest.mark.parametrize(("domain", "number"), [("studio", 0), ("studio", 1), ("wild", 0), ("wild", 1)])
def test_tracks_cameras_and_depth_agree(clips: Callable[..., TruthClip], domain: str, number: int) -> None:
    clip = clips(domain, number)
    projected = np.einsum("tij,tnj->tni", clip.intrinsics, clip.tracks3d)
    assert np.abs(projected[..., :2] / projected[..., 2:] - clip.tracks2d)[clip.track_valid].max() < 1e-3
    world = np.einsum("tij,tnj->tni", clip.camera_to_world[:, :3, :3], clip.tracks3d) + clip.camera_to_world[:, None, :3, 3]
    np.testing.assert_allclose(world, clip.tracks3d_world, atol=1e-4)
    np.testing.assert_array_equal(clip.camera_to_world[0], np.eye(4))
    # in its own frame a query is a pixel's centre: there the depth map and the track are one ray
    queried = clip.query_frame, np.arange(len(clip.query_frame))
    x, y = clip.tracks2d[queried].round().astype(int).T
    np.testing.assert_allclose(clip.tracks3d[queried][:, 2], clip.depth[clip.query_frame, y, x], rtol=1e-5)
    assert clip.visibility[queried].all()


@pytest.mark.parametrize("domain", ["studio", "wild"])
def test_what_was_asked_for_on_static_surfaces_never_moves_in_the_world(clips: Callable[..., TruthClip], domain: str) -> None:
    clip = clips(domain)
    queried = clip.query_frame, np.arange(len(clip.query_frame))
    x, y = clip.tracks2d[queried].round().astype(int).T
    moves = clip.dynamic_mask[clip.query_frame, y, x]
    wander = np.linalg.norm(clip.tracks3d_world - clip.tracks3d_world[0], axis=-1).max(axis=0)
    assert wander[~moves].max() < 1e-4
    assert np.median(wander[moves]) > 0.02
    assert moves.sum() >= 5


def test_visible_points_lie_on_what_the_depth_map_shows_and_hidden_ones_behind(clips: Callable[..., TruthClip]) -> None:
    clip = clips("studio", 1)
    x, y = clip.tracks2d.round().astype(int).clip([0, 0], [SIZE[1] - 1, SIZE[0] - 1]).transpose(2, 0, 1)
    shown = clip.depth[np.arange(NUM_FRAMES)[:, None], y, x]
    share = clip.tracks3d[..., 2] / np.where(shown > 0, shown, np.inf)
    assert np.mean(np.abs(share[clip.visibility] - 1) < 0.03) > 0.93  # the rest lies within half a pixel of an edge, or on a steep slope
    inside = np.all((clip.tracks2d >= 0) & (clip.tracks2d <= [SIZE[1] - 1, SIZE[0] - 1]), axis=-1) & clip.track_valid
    hidden = ~clip.visibility & inside & (shown > 0)
    assert hidden.sum() > 10
    assert np.mean(share[hidden] > 1) > 0.85


def test_queries_begin_in_all_frames(clips: Callable[..., TruthClip]) -> None:
    np.testing.assert_array_equal(np.bincount(clips("wild").query_frame, minlength=NUM_FRAMES), 192 // NUM_FRAMES)


def test_a_window_shows_the_same_frames_in_the_world_of_its_own_first_camera(clips: Callable[..., TruthClip]) -> None:
    whole, window = clips("wild"), film(request_for("wild"), num_tracks=40, window=range(3, 6))
    np.testing.assert_array_equal(window.frames, whole.frames[3:6])
    np.testing.assert_array_equal(window.depth, whole.depth[3:6])
    np.testing.assert_allclose(window.camera_to_world, np.linalg.inv(whole.camera_to_world[3]) @ whole.camera_to_world[3:6], atol=1e-5)
    assert set(window.query_frame.tolist()) == {0, 1, 2}


def test_the_camera_changes_pixels_but_not_the_truth(monkeypatch: pytest.MonkeyPatch, clips: Callable[..., TruthClip]) -> None:
    flat = Imaging(gain=np.ones((NUM_FRAMES, 3), np.float32))
    monkeypatch.setattr(clip_module, "stage", lambda request: replace(stage(request), imaging=flat))
    clean, recorded = film(request_for("wild"), num_tracks=192), clips("wild")
    assert np.abs(clean.frames.astype(int) - recorded.frames).mean() > 3
    for name in FIELDS[1:]:
        assert getattr(clean, name).tobytes() == getattr(recorded, name).tobytes(), name


def test_noise_and_blur_and_compression_each_leave_a_mark() -> None:
    staged = stage(request_for("wild", 1))
    linear = FrameMaker(staged.scene, staged.illumination, staged.tracer).make(2)
    plain = Imaging(gain=np.ones((NUM_FRAMES, 3), np.float32))
    clean = develop(linear, plain, 2, rng=np.random.default_rng(0)).astype(int)
    changes = {
        "read_noise": 0.02,
        "shutter": 0.8,
        "lens_blur_px": 1.0,
        "jpeg_quality": 20,
        "detail": 0.5,
        "vignette": 0.5,
        "saturation": 0.2,
    }
    for name, value in changes.items():
        marked = develop(linear, replace(plain, **{name: value}), 2, rng=np.random.default_rng(0))
        assert np.abs(marked - clean).mean() > 0.4, name


def test_the_domains_differ_in_colour_and_in_sharpness_by_far() -> None:
    figures = {}
    for domain in ("studio", "wild"):
        frames = np.concatenate([film(request_for(domain, number, seed=8), num_tracks=0).frames[::4] for number in range(5)]).astype(float)
        noise = frames[:, 1:-1, 1:-1] - (frames[:, :-2, 1:-1] + frames[:, 2:, 1:-1] + frames[:, 1:-1, :-2] + frames[:, 1:-1, 2:]) / 4
        colour = frames.max(axis=-1) - frames.min(axis=-1)
        figures[domain] = np.array([frames.mean(), colour.mean(), np.abs(noise).mean()])
    assert (figures["studio"] > figures["wild"] * [1.1, 1.15, 2.0]).all(), figures  # brightness, colour, fine detail (noise and all)


def test_a_wild_clip_says_that_its_truth_is_for_evaluation(clips: Callable[..., TruthClip]) -> None:
    assert clips("wild").meta["truth_for"] == "evaluation"
    assert clips("studio").meta["truth_for"] == "training"
    assert clips("studio").is_metric
    assert clips("studio").license == "CC0 (synthetic, rendered by trackmill)"
