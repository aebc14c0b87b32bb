import numpy as np
import pytest
import torch

from pipeline.errors import DataError
from pipeline.stream import MixtureConfig, StreamConfig
from trainer.data.augmentation import StepShape
from trainer.data.batches import collate, unproject
from trainer.data.config import AS_STORED, AugmentConfig, DataConfig
from trainer.data.packing import pack, unpack
from trainer.data.preparing import prepare_labelled, prepare_pseudo
from trainer.families.trajvg.tracking import normalise_tracks
from trainer.geometry import sample_maps, transform_points
from trainer.losses import normalise_truth

SHAPE = StepShape(frames=4, height=42, width=56)


def config(**changes) -> DataConfig:
    mixture = MixtureConfig(parts=((StreamConfig(root="/walls"), 1.0),))
    return DataConfig(**{"labelled": mixture, "num_tracks": 24, **changes})


def draw(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(6))  # with and without mirror, forwards and backwards
def test_true_points_lie_on_the_point_maps_where_the_tracks_say(make_clip, seed):
    batch = collate([prepare_labelled(make_clip(num_tracks=60), SHAPE, config(), draw(seed)) for _ in range(2)])
    assert batch.images.shape == (2, 4, 3, 42, 56)
    assert ((batch.images >= 0) & (batch.images <= 1)).all()
    truth = normalise_truth(batch.geometry)
    tracks = normalise_tracks(
        batch.tracks3d_world, batch.geometry.camera_to_world, batch.visibility, norm=truth.norm, tau=torch.full((2,), 0.01)
    )
    on_map = sample_maps(truth.truth.local_points, batch.observations.tracks_px)
    inner = batch.observations.tracks_px.sub(torch.tensor([27.5, 20.5])).abs().sub(torch.tensor([26.0, 19.0])).amax(-1) < 0
    seen = (batch.observations.frame_weights > 0) & inner
    assert seen.sum() > 50
    torch.testing.assert_close(on_map[seen], tracks.camera_points[seen], rtol=0.01, atol=0.01)
    torch.testing.assert_close(batch.query_points, batch.observations.tracks_px[:, 0])
    assert tracks.static[batch.visibility].all()  # nothing moves in that world, mirrored or not
    world = transform_points(batch.geometry.camera_to_world, tracks.camera_points * truth.norm[:, None, None, None])
    torch.testing.assert_close(world[batch.track_valid], batch.tracks3d_world[batch.track_valid], rtol=1e-4, atol=1e-4)


def test_a_batch_holds_the_clips_values_to_the_last_bit(make_clip):
    clips = [prepare_labelled(make_clip(num_tracks=60), SHAPE, config(), draw(seed)) for seed in range(2)]
    batch = collate([unpack(pack(clip)) for clip in clips])
    for number, clip in enumerate(clips):
        pixels = clip.images.numpy().transpose(0, 3, 1, 2)
        assert np.array_equal(batch.images[number].numpy(), pixels.astype(np.float32) / np.float32(255))
        assert torch.equal(batch.geometry.local_points[number], unproject(clip.truth.depth, clip.truth.intrinsics))
        assert torch.equal(batch.observations.tracks_px[number], clip.tracks_px)
    assert batch.is_metric.tolist() == [True, True]
    assert batch.geometry.with_normals.tolist() == [True, True]


def test_unprojection_by_hand():
    intrinsics = torch.tensor([[2.0, 0.5, 1.0], [0, 4.0, 0.0], [0, 0, 1]])
    points = unproject(torch.tensor([[4.0, 0.0], [8.0, 2.0]]), intrinsics)
    torch.testing.assert_close(points[1, 1], torch.tensor([2 * (0 - 0.5 * 0.25) / 2, 2 * 0.25, 2.0]))
    torch.testing.assert_close(points[0, 0], torch.tensor([-2.0, 0, 4]))
    assert (points[0, 1] == 0).all()


def test_asked_tracks_are_seen_in_the_first_frame_and_missing_ones_count_nothing(make_clip):
    clip = prepare_labelled(make_clip(num_tracks=10), SHAPE, config(augment=AS_STORED), draw())
    seen = clip.frame_weights[0] > 0
    found = int(seen.sum())
    assert 0 < found <= 10
    assert seen[:found].all()
    assert (clip.frame_weights[:, found:] == 0).all()
    assert (clip.tracks_px[:, found:] == torch.tensor([27.5, 20.5])).all()
    assert clip.truth.tracks3d_world[:, :found].isfinite().all()
    assert clip.truth.tracks3d_world[:, found:].isnan().all()
    assert not clip.truth.visibility[:, found:].any()


def test_what_leaves_the_crop_is_not_seen_any_more(make_clip):
    tall = StepShape(frames=6, height=56, width=14)
    clip = prepare_labelled(make_clip(num_tracks=300), tall, config(num_tracks=300, augment=AS_STORED), draw(3))
    found = clip.truth.tracks3d_world[0, :, 0].isfinite()
    outside = (clip.tracks_px[..., 0] < -0.5) | (clip.tracks_px[..., 0] > 13.5)
    assert outside[:, found].any()
    assert (clip.frame_weights[outside] == 0).all()
    assert not clip.truth.visibility[outside].any()


def test_windows_begin_where_pose_and_depth_are_known(make_clip):
    depth = make_clip().depth.copy()
    depth[[0, 1]] = 0
    poses = make_clip().camera_to_world.copy()
    poses[5] = np.nan
    valid = np.array([1, 1, 1, 1, 1, 0], bool)
    for seed in range(12):
        clip = prepare_labelled(
            make_clip(depth=depth, camera_to_world=poses, pose_valid=valid),
            SHAPE,
            config(augment=AugmentConfig(crop_side=(1, 1))),
            draw(seed),
        )
        assert clip.truth.pose_valid[0]
        assert (clip.truth.depth[0] > 0).any()
        assert clip.truth.camera_to_world.isfinite().all()
        assert clip.truth.tracks3d_world[~clip.truth.pose_valid].isnan().all()


def test_a_clip_without_tracks_teaches_geometry(make_clip):
    sample = make_clip(num_tracks=0, tracks2d=None, visibility=None, tracks3d_world=None, query_frame=None)
    clip = prepare_labelled(sample, SHAPE, config(), draw())
    assert (clip.frame_weights == 0).all()
    assert clip.truth.tracks3d_world.isnan().all()
    assert (clip.truth.depth > 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": None}, "dataset walls, clip clip-a: no depth; a labelled clip needs"),
        ({"camera_to_world": None, "intrinsics": None}, "no intrinsics, camera_to_world"),
        ({"visibility": np.zeros((6, 40), bool)}, "clip-a: none of its 40 tracks is ever visible"),
        ({"pose_valid": np.zeros(6, bool)}, "clip-a: no frame has both"),
        ({"depth": np.full((6, 60, 80), np.nan, np.float32)}, "clip-a: depth is negative, NaN or inf"),
        ({"camera_to_world": np.tile(2 * np.eye(4, dtype=np.float32), (6, 1, 1))}, "clip-a: camera_to_world is not rigid"),
        ({"intrinsics": np.zeros((6, 3, 3), np.float32)}, "focal length that is not above 0"),
    ],
)
def test_truth_that_cannot_be_used_is_refused_by_name(make_clip, change, message):
    with pytest.raises(DataError, match=message):
        prepare_labelled(make_clip(**change), SHAPE, config(), draw())


def test_pseudo_windows_begin_where_tracks_were_asked(make_clip):
    asked = np.where(np.arange(40) < 20, 1, 4).astype(np.int32)
    sample = make_clip(pseudo=True, query_frame=asked)
    for seed in range(12):
        clip = prepare_pseudo(sample, SHAPE, config(augment=AS_STORED), draw(seed))
        moved = clip.tracks_px[0, :1, 0].item()  # AS_STORED: 56 of 80 pixels wide
        assert clip.truth is None
        places = (sample.tracks2d[[1, 4]][..., 0] + 0.5) * 0.7 - 0.5
        assert np.abs(places - moved).min() < 1e-3


def test_pseudo_tracks_are_drawn_by_weight_and_weigh_what_the_audit_says(make_clip):
    weights = np.zeros((6, 40), np.float32)
    weights[:, :5], weights[:, 5:8] = 1.0, 0.01
    weights[0, 9] = 0.0  # trusted elsewhere, but not where the window begins
    weights[1:, 9] = 1.0
    scores = np.linspace(0, 1, 40, dtype=np.float32)
    sample = make_clip(
        pseudo=True, frame_weights=weights, static_score=scores, pose_signal=np.array([1, 1, 0, 0, 1, 1], bool), visibility=weights > 0
    )
    clip = prepare_pseudo(sample, SHAPE, config(num_tracks=5, augment=AS_STORED), draw())
    kept = clip.static_score
    assert (kept <= scores[8]).all()
    assert (kept <= scores[4]).float().mean() >= 0.8
    assert clip.pose_weight.tolist() == [1, 1, 0, 0]
    assert set(clip.frame_weights.unique().tolist()) <= {0.0, 1.0, np.float32(0.01).item()}
    few = prepare_pseudo(sample, SHAPE, config(num_tracks=24, augment=AS_STORED), draw())
    assert int((few.frame_weights[0] > 0).sum()) <= 8
    assert few.static_score[8:].isnan().all()


def test_pseudo_tracks_without_audit_count_by_confidence(make_clip):
    sample = make_clip(pseudo=True, confidence=np.full((6, 40), 0.25, np.float32))
    clip = prepare_pseudo(sample, SHAPE, config(augment=AS_STORED), draw())
    assert set(clip.frame_weights.unique().tolist()) == {0.0, 0.25} or set(clip.frame_weights.unique().tolist()) == {0.25}
    assert clip.static_score is None
    assert collate([clip]).geometry is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"visibility": np.zeros((6, 40), bool)}, "dataset walls, clip clip-a: none of its 40 pseudo tracks is trusted"),
        ({"tracks2d": np.full((6, 40, 2), 500, np.float32)}, "clip-a: none of its 40 pseudo tracks"),
        ({"frame_weights": np.full((6, 40), np.nan, np.float32)}, "clip-a: weights of tracks leave"),
        ({"tracks2d": None, "visibility": None, "query_frame": None}, "clip-a: no tracks"),
    ],
)
def test_pseudo_tracks_that_say_nothing_are_refused_by_name(make_clip, change, message):
    with pytest.raises(DataError, match=message):
        prepare_pseudo(make_clip(pseudo=True, **change), SHAPE, config(), draw())


def test_the_same_draws_give_the_same_clip(make_clip):
    first, again, other = (prepare_labelled(make_clip(), SHAPE, config(), draw(seed)) for seed in (4, 4, 5))
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.tracks_px, again.tracks_px)
    assert not torch.equal(first.images, other.images)


def test_clips_that_know_less_are_filled_up(make_clip):
    plain = make_clip(pseudo=True)
    judged = make_clip(pseudo=True, static_score=np.ones(40, np.float32), pose_signal=np.zeros(6, bool))
    batch = collate([prepare_pseudo(sample, SHAPE, config(), draw()) for sample in (plain, judged)])
    assert batch.observations.static_score[0].isnan().all()
    assert batch.observations.pose_weight.tolist() == [[1] * 4, [0] * 4]
    sky = make_clip(sky_mask=np.ones((6, 60, 80), bool))
    coarse = config(without_normals=("walls",))
    geometry = collate([prepare_labelled(sample, SHAPE, coarse, draw()) for sample in (make_clip(), sky)]).geometry
    assert geometry.sky_mask.flatten(1).all(1).tolist() == [False, True]
    assert geometry.with_normals.tolist() == [False, False]
    assert collate([]) is None


def test_a_batch_moves_as_a_whole(make_clip):
    batch = collate([prepare_labelled(make_clip(), SHAPE, config(), draw())]).to("meta")
    assert batch.images.device.type == batch.geometry.local_points.device.type == batch.observations.frame_weights.device.type == "meta"


def test_a_clip_of_one_frame_has_no_tracks_to_learn_from(make_clip):
    arrays = ("frames", "frame_indices", "frame_times", "tracks2d", "visibility", "confidence", "frame_weights", "pose_signal")
    clip = make_clip(pseudo=True)
    one = {name: getattr(clip, name)[:1] for name in arrays if getattr(clip, name) is not None}
    with pytest.raises(DataError, match="dataset walls, clip clip-a: it has 1 frame, and tracks say something from 2 on"):
        prepare_pseudo(make_clip(pseudo=True, **one), SHAPE, config(), draw())
