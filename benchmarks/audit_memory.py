"""Does the memory of an audit grow with a clip's length? Clips of several lengths, each audited in a process of its own."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import typer
from material import machine, make_videos

from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.sharding.job import ShardingConfig, make_shards
from pipeline.labels import LabelRow, write_label_set, write_label_shard
from pipeline.layout import Layout
from pipeline.manifest import ManifestOptions
from pipeline.records import ClipRecord, LabelSet, TrackLabels
from pipeline.shards.index import read_index
from pipeline.shards.policy import ClipPolicy

SIZE = (360, 640)  # (H, W)
JOBS = {
    "audit": """
from jobs.auditing.run_job import audit_labels
from jobs.auditing.run_plan import AuditingConfig
work = lambda: audit_labels(AuditingConfig(root={root!r}, label_set={labels!r}, executor=executor), dry_run=False)
""",
    "screen": """
from jobs.auditing.screen_job import ScreeningConfig, screen_dataset
work = lambda: screen_dataset(ScreeningConfig(root={root!r}, executor=executor), dry_run=False)
""",
}
MEASURED = """
import json, time
from pathlib import Path
from jobs.execution.run import Executor
from jobs.execution.units import Limits
executor = Executor(name="inline", limits=Limits())
def peak_mib():
    lines = Path("/proc/self/status").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024, 1)
imports_mib, started = peak_mib(), time.process_time()
work()
print(json.dumps({"peak_mib": peak_mib(), "imports_mib": imports_mib, "cpu_s": round(time.process_time() - started, 2)}))
"""


def main(
    frames: Annotated[list[int] | None, typer.Option(help="Length of a clip; may be given several times.")] = None,
    tracks: Annotated[int, typer.Option(help="Of each clip.")] = 256,
    late: Annotated[float, typer.Option(help="Share of the tracks that are asked for in the middle frame; the others in the first.")] = 0.0,
    repeats: Annotated[int, typer.Option(help="Runs of each; memory is the largest, CPU time the least.")] = 1,
    folder: Annotated[Path, typer.Option(help="Where the videos are kept.")] = Path("out/bench"),
) -> None:
    """Print one JSON document: peak memory and CPU seconds of screen and audit, and a digest of what they wrote."""
    found = []
    for num_frames in frames or [300, 1000, 3000]:
        with TemporaryDirectory(prefix="trackmill-") as root:
            label_set = make_root(root, folder, num_frames, tracks, late)
            row: dict[str, object] = {"frames": num_frames}
            for job in JOBS:
                row[job] = measured(job, root, label_set, repeats)
            found.append(row)
    what = f"jobs/audit.py screen and run, one clip of {SIZE[1]}x{SIZE[0]}, {tracks} tracks, {late:.0%} of them asked for in the middle"
    print(json.dumps({"what": what, "machine": machine(), "clips": found}, indent=1))


def make_root(root: str, folder: Path, num_frames: int, num_tracks: int, late: float) -> str:
    """One video as one clip with labels written by hand; returns the label set's name."""
    (video,) = make_videos(folder, count=1, num_frames=num_frames, size=SIZE)
    policy = ClipPolicy(video="copy", clip_frames=num_frames)
    inline = Executor(name="inline", limits=Limits())
    config = ShardingConfig(
        inputs=(str(video),), root=root, preset="auto", manifest=ManifestOptions(), policy=policy, executor=inline
    )  # fmt: skip
    make_shards(config, dry_run=False)
    (entry,) = read_index(root, 0)
    if entry.record is None or entry.record.frames != num_frames:
        raise ValueError(f"{video} did not become one clip of {num_frames} frames")
    label_set = LabelSet(labeler="by-hand", configuration={})
    write_label_set(root, label_set)
    row = LabelRow(
        key=entry.key,
        status="ok",
        labels=make_labels(entry.record, num_tracks, late),
        clip_sha256=entry.record.sha256,
        num_frames=num_frames,
        width=entry.record.width,
        height=entry.record.height,
    )
    write_label_shard(root, label_set.name, shard=0, rows=[row])
    return label_set.name


def make_labels(record: ClipRecord, num_tracks: int, late: float) -> TrackLabels:
    """Tracks that wander about their queries by some pixels, and are hidden now and then."""
    rng = np.random.default_rng(0)
    asked = np.where(np.arange(num_tracks) < late * num_tracks, record.frames // 2, 0)
    places = rng.uniform((40, 40), (record.width - 40, record.height - 40), (num_tracks, 2))
    time = (np.arange(record.frames)[:, None] - asked) / 30
    phase = rng.uniform(0, 2 * np.pi, (2, num_tracks))
    wander = 30 * np.stack([np.sin(time + phase[0]) - np.sin(phase[0]), np.sin(time + phase[1]) - np.sin(phase[1])], axis=-1)
    visibility = np.sin(0.7 * time + phase[0]) > -0.9
    visibility[asked, np.arange(num_tracks)] = True
    queries = np.column_stack([asked, places]).astype(np.float32)
    return TrackLabels(queries=queries, tracks_px=(places + wander).astype(np.float32), visibility=visibility)


def measured(job: str, root: str, label_set: str, repeats: int) -> dict[str, object]:
    """The job in processes of its own: largest peak, least CPU time, digest of its table."""
    code = MEASURED.replace("work()", JOBS[job].format(root=root, labels=label_set) + "work()")
    table = Path(Layout(root).audit_shard(label_set, 0) if job == "audit" else Layout(root).screen_shard(0))
    runs = []
    for _ in range(repeats):
        table.unlink(missing_ok=True)
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    return {
        "peak_mib": max(run["peak_mib"] for run in runs),
        "above_imports_mib": round(max(run["peak_mib"] - run["imports_mib"] for run in runs), 1),
        "cpu_s": min(run["cpu_s"] for run in runs),
        "sha256": hashlib.sha256(table.read_bytes()).hexdigest()[:16],
    }


if __name__ == "__main__":
    typer.run(main)
