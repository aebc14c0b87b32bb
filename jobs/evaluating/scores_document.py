"""A clip's scores in JSON types, exactly, and back."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from pipeline.metrics import RelativePoseErrors
from trainer.evaluation import ClipScores


def scores_document(clip: ClipScores) -> dict[str, Any]:
    """JSON types; NaN is null."""
    pairs = clip.pairs
    return {
        "key": clip.key,
        "num_frames": clip.num_frames,
        "values": dict(zip(clip.values, _without_nan(clip.values.values()), strict=True)),
        "undefined": dict(clip.undefined),
        "valid_pixels": clip.valid_pixels,
        "num_tracks": clip.num_tracks,
        "pairs": pairs
        and {
            "rotation_deg": _without_nan(pairs.rotation_deg.tolist()),
            "translation_deg": _without_nan(pairs.translation_deg.tolist()),
            "static": pairs.static.tolist(),
        },
    }


def scores_of_document(document: Mapping[str, Any]) -> ClipScores:
    """The scores of such a document."""
    pairs = document["pairs"]
    return ClipScores(
        key=document["key"],
        num_frames=document["num_frames"],
        values=dict(zip(document["values"], _with_nan(document["values"].values()), strict=True)),
        undefined=document["undefined"],
        valid_pixels=document["valid_pixels"],
        num_tracks=document["num_tracks"],
        pairs=pairs
        and RelativePoseErrors(
            rotation_deg=np.array(_with_nan(pairs["rotation_deg"]), np.float64),
            translation_deg=np.array(_with_nan(pairs["translation_deg"]), np.float64),
            static=np.array(pairs["static"], bool),
        ),
    )


def _without_nan(values: Iterable[float]) -> list[float | None]:
    return [None if math.isnan(value) else float(value) for value in values]


def _with_nan(values: Iterable[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]
