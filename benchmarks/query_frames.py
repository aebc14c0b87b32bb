"""Which frames of a clip tracks should begin in: spread over k frames, on one, at random, or where coverage has gone (re-seeding).

At equal numbers of tracks, on rendered clips with truth (`rendered`), on your own videos by the audit's measures (`real`), and what the
choice does to the audit's calibrations (`calibration`). What was measured is kept clip by clip: run again, a killed run goes on.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from material import machine
from query_frames_measures import (
    Row,
    accuracy_by_start,
    audit_row,
    calibration_figures,
    calibration_for,
    compared_arms,
    fastest_weight,
    judged_tracks,
    mean_of,
    pooled_weight,
    true_speed,
    truth_row,
)

from labelers import Labeler, QueryPolicy, choose_queries, make_labeler
from labelers.optical_flow import PRESETS, DisFlowLabeler, FlowField
from labelers.queries import generator_for
from pipeline.audit.calibrating.samples import BAD_PX
from pipeline.records import ClipFrames, FramesInMemory, TrackLabels
from pipeline.shards.index import read_index, read_video
from pipeline.shards.plan import read_plan_counts
from pipeline.synthetic.domains import domain_named
from pipeline.synthetic.scene import TrueTracks
from pipeline.synthetic.staging import ClipRequest, stage
from pipeline.synthetic.truth import true_tracks
from pipeline.video.reader import read_clip_frames

HERE = Path(__file__).parents[1]
SIZE, FRAMES = (180, 320), 48
RESEED = {"reseed_every": 8, "reseed_limit": 2.0}
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Folder = Annotated[Path, typer.Option(help="Where clips and figures are kept.")]
LabelerName = Annotated[str, typer.Option(help="dis-flow or lucas-kanade.")]
Queries = Annotated[str, typer.Option(help="Tracks per clip, separated by commas.")]
Arms = Annotated[str, typer.Option(help="Arms, separated by commas; the first is what the others are compared with.")]


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One way of asking. Re-seeding begins with half of the tracks and adds as many at most."""

    frames: int | None = None  # spread evenly; None: one frame by lot, or each query at its own moment
    shuffled: bool = False
    options: Mapping[str, float] = field(default_factory=dict)  # of the labeler

    def queries(self, reader: FramesInMemory, num_tracks: int, key: str) -> np.ndarray:
        """float32 "N 3", ordered by frame."""
        count = num_tracks // 2 if self.options else num_tracks
        found = choose_queries(reader, QueryPolicy(num_queries=count, num_query_frames=self.frames or 1), key=key)
        if self.frames is None:
            rng = generator_for(key, "benchmark", 0)
            found[:, 0] = rng.integers(reader.shape[0], size=count) if self.shuffled else rng.integers(reader.shape[0])
        return found[np.argsort(found[:, 0], kind="stable")]


ARMS = {
    **{str(count): Arm(frames=count) for count in (1, 2, 3, 4, 6, 8)},
    "one-by-lot": Arm(),
    "shuffled": Arm(shuffled=True),
    "reseed-0.5": Arm(frames=1, options={"reseed_below": 0.5, **RESEED}),
    "reseed-0.9": Arm(frames=1, options={"reseed_below": 0.9, **RESEED}),
    "4-reseed-0.9": Arm(frames=4, options={"reseed_below": 0.9, **RESEED}),
}
ALL_ARMS = ",".join(ARMS)
PROBES = "8/512"  # points all over the clip, whose faster third sets what is fast


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Clip:
    """Frames of a stored clip. A rendered one knows its scene: seed and number."""

    key: str
    frames: np.ndarray  # uint8 "T H W 3"
    source: str


@app.command()
def rendered(
    folder: Folder = Path("out/query_frames"),
    seeds: Annotated[str, typer.Option(help="Of `wild` clips, separated by commas.")] = "8201,8202,8203,8204",
    clips_per_seed: Annotated[int, typer.Option(help="Clips of each seed; those that fail the renderer's checks are left out.")] = 8,
    labeler: LabelerName = "dis-flow",
    queries: Queries = "256,512",
    arms: Arms = ALL_ARMS,
) -> None:
    """Coverage and errors against the truth. Prints one JSON."""
    counts, names = _parsed(queries, arms)
    files = []
    for seed in map(int, seeds.split(",")):
        for clip in _rendered_clips(folder / "clips", "wild", seed, clips_per_seed):
            file = folder / "rendered" / labeler / f"{seed}-{clip.key}.json"
            _add_missing(file, [f"{name}/{count}" for count in counts for name in names], _truth_measurer(clip, labeler))
            files.append(file)
    measures = ("cover_mean", "cover_worst", "right_cover_mean", "right_cover_worst", "right_points", "wrong_of_visible", "AJ", "delta_avg")
    measures += ("fast_delta_avg", "fast_right_points", "mean_length", "tracks")
    tables = compared_arms(files, counts, names, {name: mean_of(name) for name in measures})
    by_start = {f"{name}/{count}": accuracy_by_start(files, f"{name}/{count}") for count in counts for name in names if ARMS[name].frames}
    what = f"{labeler} on {len(files)} rendered wild clips of {FRAMES} frames, {SIZE[1]}x{SIZE[0]}, seeds {seeds}"
    typer.echo(json.dumps({"what": what, "results": tables, "by_start": by_start, "machine": machine()}, indent=1))


@app.command()
def real(
    videos: Annotated[Path, typer.Argument(help="Folder of videos.")],
    folder: Folder = Path("out/query_frames"),
    labeler: LabelerName = "dis-flow",
    queries: Queries = "256,512",
    arms: Arms = ALL_ARMS,
) -> None:
    """The audit's findings, with the calibration that comes with the package and without a screen. Prints one JSON."""
    counts, names = _parsed(queries, arms)
    files, sources = [], set()
    for clip in _real_clips(folder / "clips", videos):
        sources.add(clip.source)
        file = folder / "real" / labeler / f"{clip.key}.json"
        _add_missing(file, [f"{name}/{count}" for count in counts for name in names], _audit_measurer(clip, labeler))
        files.append(file)
    measures = ("kept", "cover_mean", "cover_worst", "cover_entropy", "usable_tracks", "tracks")
    statistics = {"mean_weight": pooled_weight, "fastest_third": fastest_weight, **{name: mean_of(name) for name in measures}}
    tables = compared_arms(files, counts, names, statistics)
    what = f"{labeler} on {len(files)} clips of {len(sources)} videos, by the audit"
    typer.echo(json.dumps({"what": what, "results": tables, "machine": machine()}, indent=1))


@app.command()
def cost(
    videos: Annotated[Path, typer.Argument(help="Folder of videos.")],
    folder: Folder = Path("out/query_frames"),
    labeler: LabelerName = "dis-flow",
    queries: Queries = "256",
    arms: Arms = "1,4,8",
) -> None:
    """CPU seconds per clip, every arm by itself. Prints one JSON."""
    counts, names = _parsed(queries, arms)
    files, wanted = [], [f"{name}/{count}" for count in counts for name in names]
    for clip in _real_clips(folder / "clips", videos):
        files.append(folder / "cost" / labeler / f"{clip.key}.json")
        _add_missing(files[-1], wanted, lambda arms, clip=clip: {arm: {"cpu_s": _timed(clip, labeler, arm)} for arm in arms})
    tables = compared_arms(files, counts, names, {"cpu_s": mean_of("cpu_s")})
    typer.echo(json.dumps({"what": f"{labeler}, CPU seconds per clip", "results": tables, "machine": machine()}, indent=1))


@app.command()
def calibration(
    folder: Folder = Path("out/query_frames"),
    domains: Annotated[str, typer.Option(help="DOMAIN:SEED, separated by commas.")] = "wild:8201,wild:8202",
    clips_per_seed: Annotated[int, typer.Option(help="Clips of each.")] = 8,
    labeler: LabelerName = "dis-flow",
    queries: Queries = "256",
    arms: Arms = "1,4",
) -> None:
    """AUROC and calibration error of the calibration that comes with the package. Prints one JSON."""
    counts, names = _parsed(queries, arms)
    results: dict[str, Any] = {}
    for domain, seed in (part.split(":") for part in domains.split(",")):
        for clip in _rendered_clips(folder / "clips", domain, int(seed), clips_per_seed):
            file = folder / "calibration" / labeler / f"{seed}-{clip.key}.json"
            wanted = [f"{name}/{count}" for count in counts for name in names]
            for arm, row in _add_missing(file, wanted, _calibration_measurer(clip, domain, labeler)).items():
                results.setdefault(arm, {}).setdefault(domain, []).append(row)
    figures = {
        arm: {**{name: calibration_figures(rows) for name, rows in parts.items()}, "all": calibration_figures(sum(parts.values(), []))}
        for arm, parts in results.items()
    }
    what = f"the {labeler} calibration on clips labelled on so many frames; a track is bad if anywhere more than {BAD_PX:g} px off"
    typer.echo(json.dumps({"what": what, "results": figures, "machine": machine()}, indent=1))


def _parsed(queries: str, arms: str) -> tuple[list[int], list[str]]:
    cv2.setNumThreads(1)
    return [int(count) for count in queries.split(",")], arms.split(",")


def _job(name: str, *arguments: object) -> None:
    command = [sys.executable, str(HERE / "jobs" / name), *map(str, arguments), "--executor", "inline"]
    subprocess.run(command, check=True, stdout=sys.stderr)


def _rendered_clips(folder: Path, domain: str, seed: int, count: int) -> Iterator[Clip]:
    root = folder / f"{domain}-{seed}"
    size = ("--frames", FRAMES, "--height", SIZE[0], "--width", SIZE[1], "--tracks", 16, "--max-error-rate", 1)  # some cannot be rendered
    _job("synthesize.py", "--root", root, "--domain", domain, "--num-clips", count, "--seed", seed, *size)
    return _stored_clips(root)


def _real_clips(folder: Path, videos: Path) -> Iterator[Clip]:
    _job("shard.py", videos, "--root", folder / "real", "--video", "h264")
    return _stored_clips(folder / "real")


def _stored_clips(root: Path) -> Iterator[Clip]:
    for shard in read_plan_counts(str(root)).shards.tolist():
        for entry in read_index(str(root), shard):
            if entry.record is not None:
                frames = read_clip_frames(read_video(str(root), entry), entry.record)
                yield Clip(key=entry.key, frames=frames, source=entry.source)


@dataclass(frozen=True, kw_only=True)
class SharedFlows(DisFlowLabeler):
    """dis-flow with the flows of a clip kept for all arms: the same labels in a fraction of the time."""

    kept: dict[str, FlowField] = field(default_factory=dict, metadata={"changes_labels": False})  # by clip

    def _motion(self, grey: np.ndarray, clip: ClipFrames) -> FlowField:
        if clip.key not in self.kept:
            self.kept[clip.key] = FlowField(grey, PRESETS[self.preset], int(self.memory_mb * 2**20))
        return self.kept[clip.key]


def _labelled(clip: Clip, labeler: str, arms: Sequence[str]) -> list[TrackLabels]:
    """Labels by each arm; where flows are dense they are shared."""
    kept: dict[str, FlowField] = {}
    made = [SharedFlows(kept=kept, **_arm(arm).options) if labeler == "dis-flow" else _labeler(labeler, arm) for arm in arms]
    return [each.label([_asked(clip, arm)])[0] for each, arm in zip(made, arms, strict=True)]


def _timed(clip: Clip, labeler: str, arm: str) -> float:
    """CPU seconds of this process for queries and tracks, each arm with flows of its own."""
    started = time.process_time()
    _labeler(labeler, arm).label([_asked(clip, arm)])
    return time.process_time() - started


def _arm(arm: str) -> Arm:
    return ARMS[arm.split("/")[0]]


def _labeler(labeler: str, arm: str) -> Labeler:
    return make_labeler(labeler, **_arm(arm).options)


def _asked(clip: Clip, arm: str) -> ClipFrames:
    reader = FramesInMemory(clip.frames)
    return ClipFrames(key=clip.key, reader=reader, queries=_arm(arm).queries(reader, int(arm.split("/")[1]), clip.key))


def _truth(clip: Clip, domain: str, queries: Sequence[np.ndarray]) -> list[TrueTracks]:
    """True tracks of each set of queries, followed together."""
    seed, number = clip.source.removeprefix("seed").split("/")[:2]
    request = ClipRequest(domain=domain_named(domain), seed=int(seed), number=int(number), num_frames=FRAMES, size=SIZE)
    true = true_tracks(stage(request).scene, np.concatenate(queries))
    ends = np.cumsum([len(each) for each in queries])
    parts = [slice(end - len(each), end) for end, each in zip(ends, queries, strict=True)]
    return [
        TrueTracks(
            tracks_px=true.tracks_px[:, part], visibility=true.visibility[:, part], tracks3d=true.tracks3d[:, part], valid=true.valid[part]
        )
        for part in parts
    ]


Measurer = Callable[[list[str]], dict[str, dict[str, Any]]]


def _truth_measurer(clip: Clip, labeler: str) -> Measurer:
    size = {"height": SIZE[0], "width": SIZE[1]}

    def measure(arms: list[str]) -> dict[str, dict[str, Any]]:
        found = _labelled(clip, labeler, arms)
        *true, probes = _truth(clip, "wild", [*(labels.queries for labels in found), _asked(clip, PROBES).queries])
        limit = np.nanquantile(true_speed(probes, **size), 2 / 3)  # the same for every arm
        return {
            arm: truth_row(labels, each, fast=true_speed(each, **size) > limit, **size)
            for arm, labels, each in zip(arms, found, true, strict=True)
        }

    return measure


def _audit_measurer(clip: Clip, labeler: str) -> Measurer:
    judged_by = calibration_for(labeler)

    def measure(arms: list[str]) -> dict[str, dict[str, Any]]:
        found = _labelled(clip, labeler, arms)
        return {arm: audit_row(labels, clip.frames, judged_by) for arm, labels in zip(arms, found, strict=True)}

    return measure


def _calibration_measurer(clip: Clip, domain: str, labeler: str) -> Measurer:
    judged_by = calibration_for(labeler)

    def measure(arms: list[str]) -> dict[str, dict[str, Any]]:
        found = _labelled(clip, labeler, arms)
        true = _truth(clip, domain, [labels.queries for labels in found])
        return {arm: judged_tracks(labels, each, clip.frames, judged_by) for arm, labels, each in zip(arms, found, true, strict=True)}

    return measure


def _add_missing(file: Path, arms: list[str], measure: Measurer) -> dict[str, Row]:
    """Rows of a clip by arm, from its file as far as they are there; what is missing is measured and added."""
    there: dict[str, Row] = json.loads(file.read_text()) if file.exists() else {}
    missing = [arm for arm in arms if arm not in there]
    if missing:
        there |= measure(missing)
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".part")
        partial.write_text(json.dumps(there))
        partial.replace(file)
        typer.echo(f"{file.name}: {len(missing)} arms", err=True)
    return {arm: there[arm] for arm in arms}


if __name__ == "__main__":
    app()
