"""Audits of clips made by hand."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import numpy as np

from pipeline.audit.clips.labels import ClipMeasures
from pipeline.audit.records import StaticPair, measure_names
from pipeline.audit.stored.audit_rows import writing_audit_shard
from pipeline.audit.stored.clip_audit import ClipAudit, TrackAudit
from pipeline.audit.verdict import verdict_of

PAIR = StaticPair(start=0, end=2, model="homography", num_candidates=40, static_inlier_ratio=0.5, parallax_px=float("nan"))


def tracks_of(num_tracks: int = 3, num_frames: int = 4, seed: int = 0, **changed: Any) -> TrackAudit:
    """Tracks with values of every kind, unknown ones too."""
    rng = np.random.default_rng(seed)
    measures = {name: rng.random(num_tracks).astype(np.float32) for name in measure_names()}
    measures["fb_cycle"][:1] = np.nan
    measures["len"] = np.full(num_tracks, num_frames, np.float32)
    ncc = rng.uniform(-1, 1, (num_frames, num_tracks)).astype(np.float32)
    ncc[0, :1] = np.nan
    values: dict[str, Any] = {
        "queries": np.column_stack([np.zeros(num_tracks), rng.uniform(0, 63, num_tracks), rng.uniform(0, 31, num_tracks)]).astype(
            np.float32
        ),
        "weight": rng.random(num_tracks).astype(np.float32),
        "bad_probability": rng.random(num_tracks).astype(np.float32),
        "contract_error": rng.random(num_tracks) > 0.5,
        "collapsed": rng.random(num_tracks) > 0.5,
        "speed_px": rng.uniform(0.1, 5, num_tracks).astype(np.float32),
        "measures": measures,
        "ncc": ncc,
        "static_pairs": (PAIR,),
    }
    return TrackAudit(**{**values, **changed})


def clip_of(key: str, reasons: tuple[str, ...] = (), *, tracks: TrackAudit | None = None, seed: int = 0, **changed: Any) -> ClipAudit:
    """A clip of 64 x 32 pixels and 1.6 s that was measured."""
    tracks = tracks or tracks_of(seed=seed)
    values = {each.name: 3 if each.type is int else 0.5 for each in fields(ClipMeasures)}
    return ClipAudit(
        key=key,
        verdict=verdict_of(reasons),
        clip_sha256="ab" * 32,
        video_s=1.6,
        num_frames=len(tracks.ncc),
        width=64,
        height=32,
        measures=ClipMeasures(**values),
        tracks=tracks,
        **changed,
    )


def write_audit_shard(root: str, audit: str, shard: int, clips: Iterable[ClipAudit]) -> None:
    """Commit the audit of one shard. Raises DataError for a key that occurs twice."""
    with writing_audit_shard(root, audit, shard) as add:
        for clip in clips:
            add(clip)
