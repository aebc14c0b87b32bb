"""The result as a JSON document: the numbers, and the settings that they were computed with."""

import math
from dataclasses import asdict
from typing import Any

import numpy as np

from jobs.evaluating.job import Evaluation, SetEvaluation
from jobs.evaluating.measures import LabelMeasures, mean_measures, pooled_counts, pooled_measures
from pipeline.metrics.label_comparison import comparison_settings
from pipeline.metrics.tapvid_counts import fractions_of
from pipeline.records import LabelSet
from pipeline.shards.dataset import code_version


def evaluation_document(evaluation: Evaluation) -> dict[str, Any]:
    """All of an evaluation in JSON types; an undefined value is null. Holds no clock time and no local path."""
    config = evaluation.config
    return {
        "settings": {**comparison_settings(config.query_mode), "split": config.split, "code_version": code_version()},
        "dataset": {"plan_hash": evaluation.plan_hash, **evaluation.dataset},
        "num_clips": {"looked_at": evaluation.num_clips, "measured": len(evaluation.keys)},
        "left_out": evaluation.left_out,
        "errors": [asdict(error) for error in evaluation.clip_errors],
        "label_sets": [_of_set(one) for one in evaluation.sets],
    }


def provenance(label_set: LabelSet) -> dict[str, Any]:
    """Who made a label set, and how, in JSON types."""
    return {
        "labeler": label_set.labeler,
        "configuration": dict(label_set.configuration),
        "checkpoint": label_set.checkpoint,
        "checkpoint_sha256": label_set.checkpoint_sha256,
        "precision": label_set.precision,
        "versions": dict(label_set.versions),
        "license": label_set.license,
    }


def _of_set(one: SetEvaluation) -> dict[str, Any]:
    label_set = one.label_set
    document = {"name": label_set.name, "provenance": provenance(label_set), "clips": [_of_clip(clip) for clip in one.clips]}
    if not one.clips:
        return document
    means = mean_measures(one.clips)
    by_threshold = fractions_of(pooled_counts(one.clips))
    return {
        **document,
        "mean_over_clips": {name: _number(mean.value) for name, mean in means.items()},
        "clips_where_defined": {name: mean.num_defined for name, mean in means.items()},
        "pooled": {
            **{name: _number(value) for name, value in asdict(pooled_measures(one.clips, one.errors)).items()},
            "jaccard": {str(threshold): _number(value) for threshold, value in by_threshold.jaccard.items()},
            "pts_within": {str(threshold): _number(value) for threshold, value in by_threshold.pts_within.items()},
        },
        "num_tracks": sum(clip.num_tracks for clip in one.clips),
        "num_unmatched": sum(clip.num_unmatched for clip in one.clips),
        "num_points": sum(clip.num_points for clip in one.clips),
        "by_frames_from_query": _by_age(one),
    }


def _of_clip(clip: LabelMeasures) -> dict[str, Any]:
    return {
        "key": clip.key,
        "num_tracks": clip.num_tracks,
        "num_unmatched": clip.num_unmatched,
        "num_points": clip.num_points,
        **{name: _number(value) for name, value in asdict(clip.values).items()},
    }


def _by_age(one: SetEvaluation) -> dict[str, list[Any]]:
    """Lists by frames from the query, 0 (nothing is measured there), 1, 2, ..."""
    return {
        "num_points": one.errors.num_points.tolist(),
        "median_error_px": [_number(value) for value in one.errors.quantile_by_age(0.5)],
        "p90_error_px": [_number(value) for value in one.errors.quantile_by_age(0.9)],
    }


def _number(value: float | np.ndarray) -> float | None:
    return None if math.isnan(value) else round(float(value), 6)
