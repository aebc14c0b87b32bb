"""The whole way of the data in one command: render (or take) a video, shard it, label it, audit the labels, stream what is kept."""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from jobs import options
from jobs.auditing.run_job import AuditingOutcome, audit_labels
from jobs.auditing.run_plan import AuditingConfig
from jobs.console import DONE, counted, print_summary, run_job
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.labeling.job import LabelingConfig, label_dataset
from jobs.sharding.job import ShardingConfig, make_shards
from jobs.showing.clips import Shown
from jobs.showing.pictures import draw_clip, draw_sheet
from labelers import QueryPolicy
from pipeline.drawing import write_animation, write_image
from pipeline.labels import read_labels
from pipeline.manifest import ManifestOptions
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
    labeler: Annotated[str, typer.Option(help="Labeler to run.")] = "dis-flow",
    executor: options.Executor = "inline",
) -> None:  # fmt: skip
    """Shard, label, audit and stream a few seconds of video; print how far the labels are from the truth, and where the pictures are."""

    def body() -> int:
        started = time.monotonic()
        truth = None if videos else WalkTruth(out)
        inputs = tuple(videos) if videos else (str(truth.video if truth else ""),)
        run = Executor(name=executor, limits=Limits())
        root = str((out / "dataset").absolute())
        cut = make_shards(
            ShardingConfig(
                inputs=inputs,
                root=root,
                preset="auto",
                manifest=ManifestOptions(),
                policy=ClipPolicy(clips_per_shard=shard_size(root)),
                executor=run,
            ),
            dry_run=False,
        )
        labelled = label_dataset(
            LabelingConfig(root=root, labeler=labeler, labeler_options={}, queries=QueryPolicy(num_queries=256), executor=run),
            dry_run=False,
        )
        audited = audit_labels(AuditingConfig(root=root, label_set=labelled.label_set, executor=run), dry_run=False)
        audit = audited.plan.audit.name if _kept(audited) else None
        samples = list(ClipStream(StreamConfig(root=root, labels=labelled.label_set, audit=audit, num_frames=24, epochs=1)))
        shown = Shown(root=root, label_set=labelled.label_set)
        write_image(str(out / "contact_sheet.webp"), draw_sheet(shown, None, 12))
        frames, fps = draw_clip(shown, None)
        write_animation(str(out / "tracks.mp4"), frames, fps)
        if truth is not None:
            print_summary(f"{labeler} against the truth of {truth.video.name} (TAP-Vid, first)", truth.compare(root, labelled.label_set))
        rows: list[tuple[str, object]] = [
            ("clips", f"{cut.plan.clips} in {counted(cut.plan.shards, 'shard')}, {counted(cut.num_errors, 'error')}"),
            ("label set", labelled.label_set),
            ("audit", _judged(audited)),
            ("stream", _described(samples)),
            ("dataset", root),
            *([("truth", truth.folder)] if truth else []),
            ("contact sheet", out / "contact_sheet.webp"),
            ("tracks in motion", out / "tracks.mp4"),
            ("report", audited.report),
            ("time", f"{time.monotonic() - started:.0f} s"),
        ]
        print_summary("demo", rows)
        return DONE

    run_job(body)


def _kept(audited: AuditingOutcome) -> int:
    """Clips that may be trained on."""
    return 0 if audited.summary is None else audited.summary.decisions.get("keep", 0)


def _judged(audited: AuditingOutcome) -> str:
    summary = audited.summary
    if summary is None or not summary.num_tracks:
        return "no track could be judged"
    kept = f"keeps {_kept(audited)} of {summary.num_clips} clips"
    mean = f"mean weight of a track {summary.weight_sum / summary.num_tracks:.2f} ({audited.plan.audit.weights})"
    return f"{kept}; {mean}" + ("" if _kept(audited) else "; streamed all the same, to show it")


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
