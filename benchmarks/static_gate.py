"""How well the static gate tells what moves from what stands, on rendered clips whose truth is known; nothing is fitted to them."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import cv2
import numpy as np
import typer
from material import machine
from scipy.stats import rankdata

from labelers import make_labeler
from pipeline.audit.tracks.epipolar import pair_geometries
from pipeline.audit.tracks.static_gate import LONG_GAP, SHORT_GAP, STATIC_SCORE, static_gate
from pipeline.metrics.tapvid_counts import to_raster
from pipeline.records import ClipFrames, FramesInMemory, TrackLabels
from pipeline.records.truth import TruthClip
from pipeline.synthetic.clip import film_staged
from pipeline.synthetic.domains import domain_named
from pipeline.synthetic.filming.tracing import Tracer
from pipeline.synthetic.scene import SceneObject
from pipeline.synthetic.staging import ClipRequest, StagedClip, stage

KINDS = {"parallax": ("walk", "orbit", "drive"), "rotation": ("pan",), "along-epipolar-lines": ("walk", "orbit", "drive")}
SIZE, TRACKS = (240, 320), 400
STANDS_M = 0.005  # a point that never leaves its place by more stands; the truth is stored in float32
SEEN_PX = 2.0  # of the raster, over 16 frames: own motion that a person would call so


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Judged:
    """What the gate said of the tracks of one clip, and what is true."""

    score: np.ndarray  # float64 "N", NaN = unknown
    static: np.ndarray  # bool "N"
    seen_moving: np.ndarray  # bool "N": its own motion can be seen
    models: Counter[str]  # of the pairs of frames
    num_pairs: np.ndarray  # int64 "N": those that see the track


def main(
    num_clips: Annotated[int, typer.Option(help="Clips of each kind; even ones studio, odd ones wild.")] = 12,
    frames: Annotated[int, typer.Option(help="Per clip.")] = 48,
    seed: Annotated[int, typer.Option(help="Of the clips.")] = 7301,
    labelers: Annotated[str, typer.Option(help="Names, separated by commas; the true tracks always come first.")] = "dis-flow",
    threads: Annotated[int, typer.Option(help="Of OpenCV.")] = 1,
) -> None:
    """Print one JSON."""
    cv2.setNumThreads(threads)
    sources = ["truth", *(name for name in labelers.split(",") if name)]
    results: dict[str, dict[str, object]] = {source: {} for source in sources}
    for kind in KINDS:
        judged: dict[str, list[Judged]] = {source: [] for source in sources}
        for number in range(num_clips):
            clip = film_kind(kind, number, seed=seed, num_frames=frames)
            for source in sources:
                judged[source].append(judge(clip, true_labels(clip) if source == "truth" else labels_of(clip, source)))
        for source in sources:
            results[source][kind] = summary(judged[source])
    what = (
        f"AUROC of the static score, static against moving, over clips; {num_clips} rendered clips a kind, {frames} frames of"
        f" {SIZE[1]}x{SIZE[0]}, up to {TRACKS} tracks, seed {seed}"
    )
    print(json.dumps({"what": what, "results": results, "machine": machine()}, indent=1))


def film_kind(kind: str, number: int, *, seed: int, num_frames: int) -> TruthClip:
    """One clip of a kind: a camera that travels, one that only turns, or one that travels among things going its way or against it."""
    domain = domain_named(("studio", "wild")[number % 2])
    domain = replace(domain, cameras=dict.fromkeys(KINDS[kind], 1.0))
    request = ClipRequest(domain=domain, seed=seed, number=number, num_frames=num_frames, size=SIZE)
    staged = stage(request)
    if kind == "rotation":
        staged = on_the_spot(staged)
    elif kind == "along-epipolar-lines":
        staged = gone_along(staged, request.rng(99))
    return film_staged(request, staged, num_tracks=TRACKS)


def on_the_spot(staged: StagedClip) -> StagedClip:
    """With a camera that turns as before but stays where it is in the first frame."""
    poses = staged.scene.camera_to_world.copy()
    poses[:, :3, 3] = poses[0, :3, 3]
    scene = replace(staged.scene, camera_to_world=poses)
    return replace(staged, scene=scene, tracer=Tracer(scene))


def gone_along(staged: StagedClip, rng: np.random.Generator) -> StagedClip:
    """With movers that neither turn nor deform, and shift by 0.3 to 0.9 of the camera's own shift, with it or against it."""
    scene = staged.scene
    shift = scene.camera_to_world[:, :3, 3] - scene.camera_to_world[scene.num_frames // 2, :3, 3]
    shares: dict[str, float] = {}

    def course(item: SceneObject) -> SceneObject:
        if not item.is_moving:
            return item
        owner = item.name.split("-")[0]  # its wheels and limbs go with it
        share = shares.setdefault(owner, float(rng.choice([-1.0, 1.0]) * rng.uniform(0.3, 0.9)))
        middle = scene.num_frames // 2
        poses = np.tile(item.pose_at(middle), (scene.num_frames, 1, 1))
        poses[:, :3, 3] += share * shift
        mesh = item.mesh if item.shapes is None else replace(item.mesh, vertices=item.shapes[middle], normals=item.normals_at(middle))
        return replace(item, poses=poses, shapes=None, mesh=mesh)

    scene = replace(scene, objects=tuple(course(item) for item in scene.objects))
    return replace(staged, scene=scene, tracer=Tracer(scene))


def true_labels(clip: TruthClip) -> TrackLabels:
    """The true tracks as labels, each asked for in its own frame; those that are not seen there are left out."""
    seen = clip.visibility & clip.track_valid
    rows = np.flatnonzero(seen[clip.query_frame, np.arange(seen.shape[1])])
    start = clip.query_frame[rows]
    queries = np.column_stack([start, clip.tracks2d[start, rows]]).astype(np.float32)
    return TrackLabels(queries=queries, tracks_px=clip.tracks2d[:, rows], visibility=seen[:, rows])


def labels_of(clip: TruthClip, labeler: str) -> TrackLabels:
    """What a labeler makes of the same queries."""
    frames = ClipFrames(key="clip", reader=FramesInMemory(clip.frames), queries=true_labels(clip).queries)
    return make_labeler(labeler).label([frames])[0]


def judge(clip: TruthClip, labels: TrackLabels) -> Judged:
    """Ask the gate, and look up the truth for the same queries."""
    height, width = clip.frames.shape[1:3]
    tracks = to_raster(labels.tracks_px, height, width)
    pairs = [pair for gap in (SHORT_GAP, LONG_GAP) for pair in pair_geometries(tracks, labels.visibility, gap=gap, aspect=width / height)]
    gate = static_gate(pairs, labels.visibility.shape[1], height=height, width=width)
    seen = clip.visibility & clip.track_valid
    rows = np.flatnonzero(seen[clip.query_frame, np.arange(seen.shape[1])])
    world = clip.tracks3d_world[:, rows]
    away_m = np.linalg.norm(world - world[clip.query_frame[rows], np.arange(len(rows))], axis=-1).max(axis=0)
    return Judged(
        score=gate.static_score.astype(np.float64),
        static=away_m < STANDS_M,
        seen_moving=own_motion(clip, rows) >= SEEN_PX,
        models=Counter(pair.model for pair in gate.pairs),
        num_pairs=sum(
            (np.bincount(pair.tracks, minlength=len(gate.static_score)) for pair in pairs), np.zeros(len(gate.static_score), int)
        ),
    )


def own_motion(clip: TruthClip, rows: np.ndarray) -> np.ndarray:
    """How far each point is from where it would be had it stood for 16 frames, median over the frames it is seen in; raster, "n"."""
    height, width = clip.frames.shape[1:3]
    away = np.full((len(clip.frames) - LONG_GAP, len(rows)), np.nan)
    for start in range(len(away)):
        end = start + LONG_GAP
        pose = clip.camera_to_world[end].astype(np.float64)
        stood = (clip.tracks3d_world[start, rows] - pose[:3, 3]) @ pose[:3, :3]
        here = (stood[:, 2] > 0.05) & clip.visibility[start, rows] & clip.visibility[end, rows]
        pixels = stood[here] @ clip.intrinsics[end].T
        pixels = to_raster((pixels[:, :2] / pixels[:, 2:])[None], height, width)[0]
        away[start, here] = np.linalg.norm(to_raster(clip.tracks2d[None, end, rows[here]], height, width)[0] - pixels, axis=-1)
    known = ~np.isnan(away).all(axis=0)
    median = np.zeros(len(rows))
    median[known] = np.nanmedian(away[:, known], axis=0)
    return median


def summary(clips: Sequence[Judged]) -> dict[str, object]:
    """Median, mean and least AUROC over the clips that have both sorts, for all that moves and for what visibly does; and the rest."""
    models = sum((clip.models for clip in clips), Counter())
    score, static, moving, num_pairs = (
        np.concatenate([getattr(clip, name) for clip in clips]) for name in ("score", "static", "seen_moving", "num_pairs")
    )
    known = ~np.isnan(score)
    passed = score >= STATIC_SCORE
    return {
        "all_that_moves": spread([auroc(clip.score, clip.static, ~clip.static) for clip in clips]),
        "moves_visibly": spread([auroc(clip.score, clip.static, clip.seen_moving & ~clip.static) for clip in clips]),
        "tracks": {"static": int(static.sum()), "moving": int((~static).sum()), "visibly": int((moving & ~static).sum())},
        "unknown_share": share(~known, np.ones_like(known)),
        "static_called_static": share(passed, static & known),
        "visibly_moving_called_static": share(passed, moving & ~static & known),
        "by_pairs": {
            int(count): {
                "share_of_static": share(num_pairs == count, static),
                "static_called_static": share(passed, static & (num_pairs == count)),
                "moving_called_static": share(passed, ~static & (num_pairs == count)),
            }
            for count in np.unique(num_pairs)
        },
        "pairs_by_model": {name: round(count / max(models.total(), 1), 3) for name, count in sorted(models.items())},
    }


def auroc(score: np.ndarray, positive: np.ndarray, negative: np.ndarray) -> float:
    """Chance that a positive has a higher score than a negative, ties half; NaN without both. Unknown scores are left out."""
    known = ~np.isnan(score)
    positive, negative = positive & known, negative & known
    if not (positive.any() and negative.any()):
        return float("nan")
    rank = rankdata(np.concatenate([score[positive], score[negative]]))[: positive.sum()]
    return float((rank.sum() - positive.sum() * (positive.sum() + 1) / 2) / (positive.sum() * negative.sum()))


def spread(values: list[float]) -> dict[str, object]:
    """Median, mean and least of what is known."""
    known = np.array([value for value in values if not np.isnan(value)])
    if not len(known):
        return {"clips": 0}
    figures = {"median": np.median(known), "mean": known.mean(), "least": known.min()}
    return {**{name: round(float(value), 3) for name, value in figures.items()}, "clips": len(known)}


def share(found: np.ndarray, among: np.ndarray) -> float | None:
    """Share of `among` that is found, None where there is none."""
    return round(float(found[among].mean()), 3) if among.any() else None


if __name__ == "__main__":
    typer.run(main)
