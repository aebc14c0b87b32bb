"""What bfloat16 costs in accuracy: our engine in both precisions on a rendered clip whose true tracks are known."""

from typing import Any

import numpy as np
from cotracker3_sides import Case, Found, Settings, ours_model, run_model

from networks.layers.computing import PRECISIONS
from pipeline.metrics import tapvid_from_labels
from pipeline.records import TrackLabels
from pipeline.synthetic import Scene, TrueTracks, render, true_tracks, walk_scene

CASE = Case(mode="backward", num_points=256, num_frames=24)


def drift(settings: Settings, case: Case = CASE, scene: Scene | None = None) -> dict[str, Any]:
    """Both precisions against the truth (percent; error in px where truly visible), and against each other.

    Weights made by formula follow nothing: then only the comparison with each other says something.

    Args:
        scene: of the case's size and length; None for a walk down a street.
    """
    height, width = case.size
    scene = scene or walk_scene(num_frames=case.num_frames, height=height, width=width)
    queries = case.queries()
    truth = true_tracks(scene, queries)
    video = render(scene).frames
    model = ours_model(case, settings)
    found = {precision: run_model(case, model, precision)(video, queries) for precision in PRECISIONS}
    apart = np.linalg.norm(found["bfloat16"].tracks - found["float32"].tracks, axis=-1)
    rules = [side.visibility * side.confidence > 0.6 for side in found.values() if side.visibility is not None]
    return {
        "weights": settings.checkpoint or "by formula",
        **{precision: _against_truth(side, queries, truth, case.size) for precision, side in found.items()},
        "tracks apart px": {name: round(float(np.quantile(apart, q)), 4) for name, q in (("median", 0.5), ("p99", 0.99), ("largest", 1.0))},
        "share of booleans that differ": round(float((rules[0] != rules[1]).mean()), 5),
    }


def _against_truth(found: Found, queries: np.ndarray, truth: TrueTracks, size: tuple[int, int]) -> dict[str, float]:
    assert found.visibility is not None  # our engine gives both
    assert found.confidence is not None
    kept = truth.valid
    labels = TrackLabels(
        queries=queries[kept], tracks_px=found.tracks[:, kept], visibility=(found.visibility * found.confidence > 0.6)[:, kept]
    )
    visible = truth.visibility[:, kept]
    metrics = tapvid_from_labels(labels, truth.tracks_px[:, kept], visible, height=size[0], width=size[1], query_mode="strided")
    errors = np.linalg.norm(labels.tracks_px - truth.tracks_px[:, kept], axis=-1)[visible]
    return {
        "AJ": round(100 * float(metrics.average_jaccard), 2),
        "delta_avg": round(100 * float(metrics.average_pts_within_thresh), 2),
        "OA": round(100 * float(metrics.occlusion_accuracy), 2),
        "median_error_px": round(float(np.median(errors)), 4),
    }
