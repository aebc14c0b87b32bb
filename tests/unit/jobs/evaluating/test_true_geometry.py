"""A Track4World without a backbone, measured over the geometry of the truth."""

from dataclasses import replace

import numpy as np
import pytest

from jobs.evaluating.subjects import LoadedModel
from jobs.loading_models import CheckpointInfo
from networks import build_model
from networks.track4world.network import Track4World
from pipeline.errors import ConfigError
from pipeline.records import ClipSample
from pipeline.shards.index import ClipEntry
from tests.tiny_network import TINY
from tests.unit.networks.track4world.test_network import ALONE
from trainer.evaluation import NO_GEOMETRY, ClipScores, EvaluationSettings

T, H, W, STEP_M, FOCAL_PX = 4, 40, 64, 0.1, 40.0
ENTRY = ClipEntry(key="clip", sample_key="clip", tar="t", source="s", source_id="s", split="test")


def filmed() -> ClipSample:
    """A wavy wall and a camera that steps to the right; every sixth pixel is a track."""
    y, x = np.mgrid[:H, :W]
    depth = (2 + 0.4 * np.sin(x / 9) + 0.2 * np.cos(y / 7)).astype(np.float32)
    intrinsics = np.array([[FOCAL_PX, 0, (W - 1) / 2], [0, FOCAL_PX, (H - 1) / 2], [0, 0, 1]], np.float32)
    pixels = np.stack(np.meshgrid(np.arange(12, W, 6), np.arange(3, H, 6)), axis=-1).reshape(-1, 2)
    rays = np.concatenate([pixels, np.ones((len(pixels), 1))], axis=1) @ np.linalg.inv(intrinsics).T
    points = rays * depth[pixels[:, 1], pixels[:, 0], None] - np.arange(T)[:, None, None] * np.array([STEP_M, 0, 0])
    poses = np.tile(np.eye(4, dtype=np.float32), (T, 1, 1))
    poses[:, 0, 3] = STEP_M * np.arange(T)
    return ClipSample(
        key="clip", source="s", split="test", index=0, frames=np.zeros((T, H, W, 3), np.uint8), frame_indices=np.arange(T),
        frame_times=np.arange(T) / 10, supervision="metric", is_metric=True, depth=np.tile(depth, (T, 1, 1)),
        intrinsics=np.tile(intrinsics, (T, 1, 1)), camera_to_world=poses, tracks3d=points.astype(np.float32),
        tracks2d=(points[..., :2] / points[..., 2:] * FOCAL_PX + intrinsics[:2, 2]).astype(np.float32),
        visibility=np.ones(points.shape[:2], bool), track_valid=np.ones(points.shape[:2], bool),
    )  # fmt: skip


def scores(model, sample: ClipSample, **changes) -> ClipScores | str:
    asked = {"protocols": ("scene_flow",), "flow_frame": 2, "geometry": "truth", **changes}
    settings = EvaluationSettings(pixel_budget=H * W, **asked)
    info = CheckpointInfo(source="a.safetensors", sha256="0" * 64, model="track4world", license=None)
    return LoadedModel(model, info, "float32", settings).scores(ENTRY, sample)


def motionless() -> Track4World:
    """A decoder whose flow is zero in the image and in space."""
    model = build_model("track4world", ALONE).requires_grad_(False)
    for head in (model.flow_2d_head, model.flow3d_head.head):
        for entry in head.parameters():
            entry.zero_()
    return model


def test_a_decoder_that_moves_nothing_errs_by_the_motion_itself():
    sample = filmed()
    found = scores(motionless(), sample)
    assert found.values["flow_epe_3d_m"] == pytest.approx(2 * STEP_M, rel=1e-3)
    moved_px = np.linalg.norm(sample.tracks2d[2] - sample.tracks2d[0], axis=-1)
    assert found.values["flow_epe_2d_px"] == pytest.approx(moved_px.mean(), rel=1e-3)
    assert found.flow_points == sample.tracks2d.shape[1]


def test_without_true_geometry_it_is_refused_or_the_clip_left_out():
    with pytest.raises(ConfigError, match="evaluate model --geometry truth"):
        scores(motionless(), filmed(), geometry="model")
    assert scores(motionless(), replace(filmed(), depth=None)) == NO_GEOMETRY
    blind = filmed()
    blind.depth[1] = 0
    assert scores(motionless(), blind) == NO_GEOMETRY
    with pytest.raises(ConfigError, match="this pi3 predicts geometry from images"):
        scores(build_model("pi3", TINY), filmed())
    with pytest.raises(ConfigError, match="geometry is 'mine', expected model or truth"):
        EvaluationSettings(geometry="mine")
