"""The tracker step by step, fed with the reference's own feature maps and point maps."""

import pytest
import torch

from networks.trajvg.correlation import nearest_neighbours, positional_encoding, sample_nearest
from networks.trajvg.track_head import frame_boxes

HIGH_OCTAVES = 6  # from 2^6 on, the rounding of a coordinate shows


@pytest.fixture(scope="module")
def clip(stages, io):
    """Cells "1 3 980 3" of the half-resolution point maps: pixel 2i + 1."""
    local = io["out_local_points"]
    return local[:, :, 1::2, 1::2].flatten(2, 3)


@pytest.fixture(scope="module")
def scene(trajvg, stages, io, clip):
    return trajvg.track_head.context(stages["track_decoder_out"], frame_boxes(clip).normalise(clip), io["query_points"])


def level_map(stages, name):
    return stages[name][0].flatten(2).transpose(1, 2)


def test_positional_encoding(stages, close):
    close(positional_encoding(stages["posenc_in"]), stages["posenc_out"], 1e-4)


def test_queries(stages, io, clip, close):
    points = sample_nearest(io["out_local_points"][:, 0].permute(0, 3, 1, 2), io["query_points"])
    close(frame_boxes(clip[:, :1]).normalise(points[:, None])[:, 0], stages["track_qnorm"], 2e-6)


def test_pyramid(scene, stages, close):
    for index, level in enumerate(scene.pyramid):
        close(level.points, level_map(stages, f"pcd_pyr{index}"), 2e-6)
        close(level.features, level_map(stages, f"feat_pyr{index}"))


def test_query_tokens(scene, stages, close):
    for index, token in enumerate(scene.query_tokens):
        close(token, stages[f"support{index}_token0"])


def test_neighbours(stages):
    start = torch.zeros(3, 6, 3)
    start[0] = stages["track_qnorm"][0]
    for index in range(4):
        points = level_map(stages, f"pcd_pyr{index}")
        first = nearest_neighbours(stages["track_qnorm"], points[:1], k=8)
        assert first.tolist() == stages[f"knn_call{index}_idx"].tolist()
        later = nearest_neighbours(start, points, k=8)
        assert later.tolist() == stages[f"knn_call{index + 4}_idx"].tolist()


def test_iterations(trajvg, scene, stages, close):
    tracker = trajvg.track_head.tracker
    coordinates, logits = torch.zeros(1, 3, 6, 3), torch.zeros(1, 3, 6)
    coordinates[:, 0] = stages["track_qnorm"]
    for index in range(4):
        correlation = tracker.corr_module(scene.pyramid, scene.query_tokens, coordinates, 16.0)
        close(correlation, stages[f"pcorr_iter{index}"])
        tokens = tracker.add_frame_marks(tracker.track_tokens(coordinates, logits, correlation)).transpose(1, 2)
        expected = stages[f"upd_in_iter{index}"]
        close(tokens, expected, 5e-2)
        low = [*range(4 + 3 * (HIGH_OCTAVES + 2)), *range(199, 327)]
        close(tokens[..., low], expected[..., low], 1e-3)
        step = tracker.updateformer(expected)
        close(step, stages[f"upd_out_iter{index}"])
        coordinates = coordinates + step.transpose(1, 2)[..., :3]
        logits = logits + step.transpose(1, 2)[..., 3]


def test_head_alone(trajvg, stages, io, close):
    tracks = trajvg.track_head(stages["track_decoder_out"], io["out_local_points"], io["query_points"])
    for index, points in enumerate(tracks.points_camera):
        close(points, io[f"track_local_{index}"])
    close(tracks.visibility_logits[-1].sigmoid(), io["out_vis_scores"], 1e-6)
