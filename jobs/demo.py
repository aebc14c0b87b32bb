"""`trackmill run` on a rendered walk, whose labels are compared with its truth; or on videos of your own."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from jobs import options
from jobs.console import DONE, GATE_CLOSED, print_summary, run_job
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.next_commands import LABELER
from jobs.running.chain import JudgedClips, RunConfig, run_jobs
from jobs.running.report import report_run
from jobs.showing.clips import Shown
from jobs.showing.pictures import draw_clip
from pipeline.drawing import write_animation
from pipeline.labels import read_labels
from pipeline.metrics.tapvid import tapvid_from_labels
from pipeline.records import ClipRecord, ClipSample, TrackLabels
from pipeline.shards.dataset import shard_size
from pipeline.shards.index import read_index
from pipeline.shards.plan import read_plan_counts
from pipeline.shards.policy import ClipPolicy
from pipeline.stream import ClipStream, StreamConfig

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
_FPS, _SECONDS = 24, 3


@app.command(cls=options.command_of("", "--videos walk.mp4 --out /data/demo"))
def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything that the demo makes.")] = Path("out/demo"),
    videos: Annotated[
        list[str] | None, typer.Option(help="Your own videos (file, folder or glob); repeat it.", show_default="a rendered walk")
    ] = None,
    labeler: Annotated[str, typer.Option(help="Labeler to run.")] = LABELER,
    executor: options.Executor = "inline",
) -> None:  # fmt: skip
    """Run the whole way on a few seconds of video, stream the result, and print how far the labels are from the truth."""

    def body() -> int:
        truth = None if videos else WalkTruth(out)
        root = str((out / "dataset").absolute())
        config = RunConfig(
            inputs=tuple(videos or ()) if truth is None else (str(truth.video),),
            root=root,
            policy=ClipPolicy(clips_per_shard=shard_size(root)),
            executor=Executor(name=executor, limits=Limits()),
            labeler=labeler,
            sheet=str(out / "contact_sheet.webp"),
        )
        done = run_jobs(config, tell=lambda line: typer.echo(line, err=True))
        if done.judged is not None:
            print_summary("demo", show_results(out, config.root, done.judged))
            if truth is not None:
                title = f"{labeler} against the truth of {truth.video.name} (TAP-Vid, first)"
                print_summary(title, [*truth.compare(config.root, done.judged.label_set), ("truth", truth.folder)])
        code = report_run(done, config, max_error_rate=0.05)
        return DONE if code == GATE_CLOSED else code  # it shows what an audit says; that this one says no is no failure of the demo

    run_job(body)


def show_results(out: Path, root: str, judged: JudgedClips) -> list[tuple[str, object]]:
    """Draw a clip in motion, stream all clips once, and give the rows of the demo's table."""
    kept = judged.summary.decisions.get("keep", 0)
    audit = judged.audited.plan.audit.name if kept else None
    samples = list(ClipStream(StreamConfig(root=root, labels=judged.label_set, audit=audit, num_frames=24, epochs=1)))
    frames, fps = draw_clip(Shown(root=root, label_set=judged.label_set), None)
    write_animation(str(out / "tracks.mp4"), frames, fps)
    return [
        ("stream", _described(samples) + ("" if kept else "; the audit keeps none: streamed all the same, to show them")),
        ("tracks in motion", out / "tracks.mp4"),
    ]


def _described(samples: list[ClipSample]) -> str:
    if not samples or samples[0].tracks2d is None:
        return f"{len(samples)} samples without tracks"
    return f"{len(samples)} samples; the first has frames {samples[0].frames.shape} and tracks {samples[0].tracks2d.shape}"


class WalkTruth:
    """The rendered video, and the scene that knows where every point of it went."""

    def __init__(self, out: Path) -> None:
        from pipeline.synthetic.render import render
        from pipeline.synthetic.video import write_truth, write_video
        from pipeline.synthetic.walk import walk_scene

        typer.echo(f"rendering {_SECONDS} seconds of a walk ...", err=True)
        self._scene = walk_scene(num_frames=_FPS * _SECONDS, fps=_FPS)
        clip = render(self._scene)
        self.video = out / "videos" / "walk.mp4"
        write_video(str(self.video.absolute()), clip.frames, clip.fps)
        self.folder = out / "truth"
        write_truth(str((self.folder / "walk.npz").absolute()), clip)

    def compare(self, root: str, label_set: str) -> list[tuple[str, object]]:
        """Rows of the table of truth, a mean over the clips."""
        records = {
            entry.key: entry.record
            for shard in read_plan_counts(root).shards.tolist()
            for entry in read_index(root, shard)
            if entry.record is not None
        }
        found = [self._measure(records[key], labels) for key, labels in read_labels(root, label_set)]
        jaccard, points, occlusion = np.nanmean(np.array(found), axis=0)
        return [
            ("average Jaccard (AJ)", f"{jaccard:.1%}"),
            ("points within 1..16 px (delta_avg)", f"{points:.1%}"),
            ("occlusion accuracy (OA)", f"{occlusion:.1%}"),
        ]

    def _measure(self, record: ClipRecord, labels: TrackLabels) -> tuple[float, float, float]:
        from pipeline.synthetic.truth import true_tracks
        from pipeline.synthetic.video import write_true_tracks

        first = round(record.timestamps[0] * _FPS)
        queries = labels.queries + np.array([first, 0, 0], np.float32)
        true = true_tracks(self._scene, queries)
        write_true_tracks(str((self.folder / f"{record.key}.tracks.npz").absolute()), queries, true)
        now = slice(first, first + record.frames)
        known = np.flatnonzero(true.valid)
        kept = TrackLabels(queries=labels.queries[known], tracks_px=labels.tracks_px[:, known], visibility=labels.visibility[:, known])
        metrics = tapvid_from_labels(
            kept, true.tracks_px[now][:, known], true.visibility[now][:, known], height=record.height, width=record.width
        )
        return float(metrics.average_jaccard), float(metrics.average_pts_within_thresh), float(metrics.occlusion_accuracy)


if __name__ == "__main__":
    app()
