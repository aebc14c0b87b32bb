"""WorldTrack's protocol from a prediction record and a clip with truth, against golden values and closed forms."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipeline.errors import ConfigError
from pipeline.metrics.world_tracks import dynamic_tracks, tracks_in_first_camera, world_track_metrics
from tests.unit.trainer.evaluation.worlds import H, N, T, W, perfect, true_sample, with_tracks
from trainer.evaluation import WORLD_TRACK_PROTOCOLS, ClipScores, EvaluationSettings, choose_tracks, measure_clip, summarise
from trainer.inference import PredictedTracks, Prediction

GOLDEN = Path(__file__).parents[3] / "golden" / "seeds" / "st4_worldtrack_metrics.npz"
SETTINGS = EvaluationSettings(protocols=WORLD_TRACK_PROTOCOLS, num_tracks=None)


def scores(prediction, sample, settings=SETTINGS) -> ClipScores:
    return measure_clip(prediction, sample, choose_tracks(sample, (H, W), at_most=settings.num_tracks), settings)


def poses(num_frames: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    poses = np.tile(np.eye(4), (num_frames, 1, 1))
    poses[:, :3, :3] = Rotation.random(num_frames, rng=rng).as_matrix()
    poses[:, :3, 3] = rng.normal(size=(num_frames, 3))
    return poses


def golden_clip(golden) -> tuple[Prediction, object]:
    """The golden's tracks in the cameras of a clip that moves, and as a model says them that has another world."""
    count, number = golden["gt"].shape[:2]
    moving, other = poses(count, 1), poses(count, 2)
    in_world = golden["gt"] @ moving[0, :3, :3].T + moving[0, :3, 3]
    camera = np.stack([(points - pose[:3, 3]) @ pose[:3, :3] for points, pose in zip(in_world, moving, strict=True)])
    sample = replace(
        true_sample(depth=None),
        frames=np.zeros((count, H, W, 3), np.uint8),
        frame_indices=np.arange(count),
        frame_times=np.arange(count) / 10,
        intrinsics=np.tile(np.eye(3, dtype=np.float32), (count, 1, 1)),
        camera_to_world=moving.astype(np.float32),
        tracks2d=np.full((count, number, 2), 5, np.float32),
        tracks3d=camera.astype(np.float32),
        visibility=np.arange(count)[:, None].repeat(number, axis=1) == 0,  # hidden in all frames but the first
        track_valid=np.arange(count)[:, None].repeat(number, axis=1) == 0,
        extra={"tracks_complete": True, "subset": "po_mini"},
    )
    said = (golden["pred"] @ other[0, :3, :3].T + other[0, :3, 3]).astype(np.float32)
    tracks = PredictedTracks(
        queries=np.zeros((number, 2), np.float32),
        world=said,
        camera=np.zeros_like(said),
        visibility_score=np.zeros((count, number), np.float32),
    )
    flat = np.zeros((count, H, W, 3), np.float32)
    prediction = Prediction(
        frames=sample.frames,
        points=flat,
        local_points=flat,
        confidence=flat[..., 0],
        camera_to_world=other.astype(np.float32),
        tracks=tracks,
    )
    return prediction, sample


def test_golden_values_come_through_the_whole_way_from_prediction_and_clip() -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        np.testing.assert_array_equal(dynamic_tracks(golden["gt"]), golden["dynamic_mask"])
        assert 0 < golden["dynamic_mask"].sum() < len(golden["dynamic_mask"])
        found = scores(*golden_clip(golden))
        for points, prefix in (("all", "all"), ("dynamic", "dyn")):
            for fit, alignment in (("median", "global"), ("sim3", "sim3_closed")):
                for name, key in (("apd", "APD"), ("epe_m", "EPE")):
                    value = found.values[f"world_track_{name}_{points}_{fit}"]
                    assert value == pytest.approx(float(golden[f"{prefix}_{alignment}_{key}"]), rel=1e-5), (points, fit, name)
    assert (found.subset, found.num_tracks) == ("po_mini", 17)
    assert found.undefined["world_points_apd_median"] == "no true depth"


def test_the_alignment_is_fitted_to_the_tracks_that_move() -> None:
    sample = true_sample()
    tracks = sample.tracks3d.copy()
    tracks[:, :4, 0] += 0.1 * np.arange(T, dtype=np.float32)[:, None]
    sample = replace(sample, tracks3d=tracks)
    right = perfect(sample)
    world = right.tracks.world.copy() - [3, 2, 1]
    world[:, :4] *= 2  # movers in another unit: they alone are right after their own median scale, not after that of all
    found = scores(replace(with_tracks(right, world=world.astype(np.float32)), camera_to_world=sample.camera_to_world), sample)
    assert found.values["world_track_epe_m_dynamic_median"] == pytest.approx(0, abs=1e-5)
    assert found.values["world_track_epe_m_all_median"] > 0.5


def test_points_are_right_at_half_the_size_in_another_world_and_unit() -> None:
    """A wall facing still cameras: bilinear resizing of its points is exact, so a halved prediction is right but for the outer pixels."""
    still = np.tile(poses(1, 3).astype(np.float32), (T, 1, 1))
    depth = np.full((T, H, W), 3.0, np.float32)
    depth[:, :2], depth[:, -2:], depth[:, :, :2], depth[:, :, -2:] = 6.0, 0.05, 0.0, 5.0  # none of these is in range
    sample = true_sample(depth=depth, camera_to_world=still)
    y, x = np.mgrid[: H // 2, : W // 2] * 2 + 0.5
    wall = np.stack([(x - 20.5) / 40, (y - 13.5) / 40, np.ones_like(x)], axis=-1) * 3
    turn = Rotation.from_rotvec([0.3, -1.1, 0.4]).as_matrix()
    pose = still.copy()
    pose[:, :3, :3], pose[:, :3, 3] = turn, (3, 2, 1)
    points = np.tile(0.5 * wall @ turn.T + (3, 2, 1), (T, 1, 1, 1)).astype(np.float32)
    half = Prediction(
        frames=sample.frames[:, ::2, ::2], points=points, local_points=points, confidence=points[..., 0], camera_to_world=pose
    )  # fmt: skip
    found = scores(half, sample)
    for fit in ("median", "sim3"):
        assert found.values[f"world_points_epe_m_{fit}"] == pytest.approx(0, abs=1e-5)
        assert found.values[f"world_points_apd_{fit}"] == 1
    beside = scores(replace(half, points=points + (turn @ [0, 0, 0.1]).astype(np.float32)), sample)
    assert beside.values["world_points_epe_m_sim3"] == pytest.approx(0, abs=1e-5)  # a similarity forgives the shift, one scale does not
    x, y = np.meshgrid(np.arange(2, W - 2), np.arange(2, H - 2))
    true = np.stack([(x - 20.5) / 40, (y - 13.5) / 40, np.ones(x.shape)], axis=-1) * 3
    shifted = 0.5 * true + [0, 0, 0.1]
    shifted *= np.median(np.linalg.norm(true, axis=-1)) / np.median(np.linalg.norm(shifted, axis=-1))
    assert beside.values["world_points_epe_m_median"] == pytest.approx(np.linalg.norm(shifted - true, axis=-1).mean(), rel=1e-4)
    assert scores(half, replace(sample, pose_valid=np.array([True, False, True, True]))).undefined.get("world_points_apd_sim3") is None
    lost = replace(sample, pose_valid=np.array([False, True, True, True]))
    assert scores(half, lost).undefined["world_points_apd_sim3"] == "the first frame has no true pose"


def test_a_track_counts_only_if_it_is_known_in_all_frames() -> None:
    sample = true_sample()
    sample.track_valid[2, :5] = False
    sample.tracks3d[2, :5] = 100
    right = perfect(true_sample())
    assert scores(right, sample).values["world_track_epe_m_all_sim3"] == pytest.approx(0, abs=1e-4)
    complete = replace(sample, extra={"tracks_complete": True})
    assert scores(right, complete).values["world_track_epe_m_all_sim3"] > 1
    sample.track_valid[2] = False
    assert scores(right, sample).undefined["world_track_apd_all_median"] == "no track is known in all frames"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"tracks3d": None}, "no true tracks to ask for"),
        ({"is_metric": False, "supervision": "pseudo"}, "the truth is not in metres"),
        ({"camera_to_world": None}, "not every frame has a true pose"),
        ({"extra": {"track_source": "reprojection"}}, "tracks are made from depth"),
    ],
)
def test_tracks_that_cannot_be_measured_are_undefined_and_say_why(changes, why) -> None:
    found = scores(perfect(true_sample()), true_sample(**changes))
    names = [name for name in found.values if name.startswith("world_track_")]
    assert len(names) == 8
    assert {found.undefined[name] for name in names} == {why}
    assert all(math.isnan(found.values[name]) for name in names)


def test_static_tracks_are_not_dynamic_and_models_without_tracks_are_measured_by_their_points() -> None:
    sample = true_sample()  # its tracks stand still in the world
    found = scores(replace(perfect(sample), tracks=None), sample)
    assert found.undefined["world_track_apd_all_median"] == "the model tracks nothing"
    assert math.isfinite(found.values["world_points_apd_sim3"])
    found = scores(perfect(sample), sample)
    assert found.values["world_track_apd_all_median"] == 1
    assert found.undefined["world_track_apd_dynamic_sim3"] == "no track moves"
    means = summarise([found, replace(found, values={**found.values, "world_track_apd_all_median": 0.5}, num_tracks=10 * N)])
    assert means["world_track_apd_all_median"].value == 0.75  # sequences count alike


def test_the_public_evaluations_scale_is_an_option() -> None:
    """A mirrored cloud, where it is too large."""
    sample = replace(true_sample(), extra={"tracks_complete": True})
    right = perfect(sample)
    mirrored = with_tracks(right, world=right.tracks.world * np.float32([-1, 1, 1]))
    ours, theirs = (
        scores(mirrored, sample, replace(SETTINGS, world_sim3=name)).values["world_track_epe_m_all_sim3"]
        for name in ("sim3", "sim3_repository")
    )
    camera = tracks_in_first_camera(sample.tracks3d, sample.camera_to_world)
    for value, name in ((ours, "sim3"), (theirs, "sim3_repository")):
        assert value == pytest.approx(world_track_metrics(camera * [-1, 1, 1], camera, alignment=name).epe_m, rel=1e-4)
    assert abs(ours - theirs) > 5e-4  # five times the tolerance and more
    with pytest.raises(ConfigError, match="world_sim3 is 'icp'"):
        EvaluationSettings(world_sim3="icp")
