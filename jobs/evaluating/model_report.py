"""The evaluation of models, or of label sets of other kinds than tracks: a JSON document with every clip's values, and the summary."""

import math
from dataclasses import asdict
from typing import Any

from jobs.console import counted
from jobs.evaluating.model_job import ModelEvaluatingConfig, ModelEvaluation, SubjectScores
from jobs.evaluating.model_tables import differences, subsets_of
from pipeline.shards.dataset import code_version
from trainer.evaluation import MEASURES, PROTOCOLS, ClipScores, summarise

MODEL_DOCUMENT, LABEL_DOCUMENT = "model_evaluation", "label_scores"  # kinds, and names of files


def model_document(evaluation: ModelEvaluation) -> dict[str, Any]:
    """All of an evaluation in JSON types; an undefined value is null. Holds no clock time and no local path."""
    config = evaluation.config
    first = evaluation.subjects[0]
    return {
        "settings": {
            **asdict(config.settings),
            "split": config.split,
            "num_frames": config.num_frames,
            "frame_stride": config.frame_stride,
            "frames": config.frames and asdict(config.frames),
            "sources": config.sources,
            "limit": config.limit,
            "precision": evaluation.precision,
            "code_version": code_version(),
        },
        "protocols": {protocol.name: protocol.title for protocol in PROTOCOLS},
        "dataset": {"plan_hash": evaluation.plan_hash, **evaluation.dataset},
        "num_clips": {"looked_at": evaluation.num_clips, "measured": len(evaluation.keys), "unreadable": evaluation.num_unreadable},
        "pose_sources": evaluation.pose_sources,
        "left_out": evaluation.left_out,
        "errors": [asdict(error) for error in evaluation.clip_errors],
        "checkpoints" if config.checkpoints else "label_sets": [_of_subject(one) for one in evaluation.subjects],
        "differences_from_first": [_differences(first, other) for other in evaluation.subjects[1:]],
    }


def document_name(config: ModelEvaluatingConfig) -> str:
    """Kind of the document, and its file's name without the suffix."""
    return MODEL_DOCUMENT if config.checkpoints else LABEL_DOCUMENT


def model_summary_rows(evaluation: ModelEvaluation, out: str | None) -> list[tuple[str, object]]:
    """Summary rows: clips that were evaluated, and clips that were not."""
    config = evaluation.config
    what = "checkpoint" if config.checkpoints else "set"
    clips = f"{len(evaluation.keys)} of {evaluation.num_clips}, split {config.split or 'all'}; the same for every {what}"
    rows: list[tuple[str, object]] = [("clips", clips)]
    if config.checkpoints:
        rows += [("model", f"{one.source}: {one.about}, {evaluation.precision}") for one in evaluation.subjects]
    else:
        rows += [("labels", f"{one.source}: {one.about}") for one in evaluation.subjects]
    if config.settings.geometry == "truth":
        rows.append(("geometry", "is given: poses, depth and points are the truth's, motion alone is the model's"))
    left_out = dict(evaluation.left_out)
    if evaluation.clip_errors or evaluation.num_unreadable:
        left_out["cannot be measured"] = len({error.key for error in evaluation.clip_errors}) + evaluation.num_unreadable
    if left_out:
        rows.append(("left out", ", ".join(f"{count} {reason}" for reason, count in left_out.items())))
    if pseudo := evaluation.pose_sources.get("pseudo"):
        rows.append(("poses", f"of {counted(pseudo, 'clip')} come from another method, not from truth: read their values as relative ones"))
    rows.append(
        (
            "written",
            f"{out}/{document_name(config)}.json" if out else "nothing; --out DIR keeps the numbers of every clip, and the settings",
        )
    )
    return rows


def _of_subject(one: SubjectScores) -> dict[str, Any]:
    means = summarise(one.clips)
    return {
        **one.identity,
        "mean": {name: _number(mean.value) for name, mean in means.items()},
        "clips_where_defined": {name: mean.num_defined for name, mean in means.items()},
        "mean_of_subset": {
            subset: {name: _number(mean.value) for name, mean in summarise(clips).items()}
            for subset, clips in subsets_of(one.clips).items()
        },
        "clips": [_of_clip(clip) for clip in one.clips],
    }


def _of_clip(clip: ClipScores) -> dict[str, Any]:
    return {
        "key": clip.key,
        "subset": clip.subset,
        "num_frames": clip.num_frames,
        "num_tracks": clip.num_tracks,
        "flow_points": clip.flow_points,
        "valid_pixels": clip.valid_pixels,
        "values": {name: _number(value) for name, value in clip.values.items()},
        "undefined": dict(clip.undefined),
    }


def _differences(first: SubjectScores, other: SubjectScores) -> dict[str, Any]:
    found = {measure.name: differences(first, other, measure) for measure in MEASURES}
    return {
        name: {
            "mean": _number(each.mean),
            "interval_95": [_number(each.low), _number(each.high)],
            "relative": _number(each.relative),
            "num_clips": each.num_pairs,
        }
        for name, each in found.items()
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 6)
