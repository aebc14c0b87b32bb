"""Cut videos into WebDataset shards, or register tars that others wrote: `python jobs/shard.py INPUT... --root ROOT`."""

import re
from typing import Annotated, Any, Literal

import typer

from jobs import options
from jobs.console import DONE, counted, error_exit, print_summary, run_job, say_unexpected
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.next_commands import after_shards
from jobs.sharding.job import ShardingConfig, ShardingOutcome, make_shards
from pipeline.errors import ConfigError
from pipeline.manifest import ManifestOptions
from pipeline.shards.dataset import shard_size
from pipeline.shards.policy import ClipPolicy
from pipeline.video.encode import EncodePolicy

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}

PresetName = Literal["auto", "folder", "sekai", "panda70m", "openvid", "koala36m", "webvid", "generic", "webdataset"]
SnapName = Literal["none", "key-frames"]
VideoName = Literal["auto", "copy", "h264"]


def _column(meaning: str, otherwise: str = "the preset's, or a usual name") -> Any:
    """An option that names a column of a table."""
    return typer.Option(help=meaning, show_default=otherwise, rich_help_panel="Manifest columns (for tables without a preset)")


@app.command(
    cls=options.command_of(
        "videos/ --root /data/walks",
        "walks.csv --preset sekai --video-root s3://lab/sekai --root s3://lab/walks",
        "'tars/*.tar' --preset webdataset --root /data/theirs",
        former={"--split": "--split-shares"},
    )
)
def shard(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help="Videos, folders, globs, tables, or tars.")],
    root: options.NewRoot,
    preset: Annotated[PresetName, typer.Option(help="Kind of the inputs; auto: files, folders, and tables by their columns.")] = "auto",
    video_root: Annotated[str | None, typer.Option(help="Folder of a table's relative paths.", show_default="the table's own")] = None,
    col_path: Annotated[str | None, _column("Column of the video's path.")] = None,
    col_start: Annotated[str | None, _column("Start: seconds or [H:]MM:SS.fff.")] = None,
    col_end: Annotated[str | None, _column("End, as the start.")] = None,
    col_clips: Annotated[str | None, _column("List of (start, end) pairs.")] = None,
    col_start_frame: Annotated[str | None, _column("First frame.")] = None,
    col_end_frame: Annotated[str | None, _column("One past the last frame.")] = None,
    frame_base_fps: Annotated[float | None, _column("Rate of those counts, frames per second.", "the video's own frames")] = None,
    col_base_fps: Annotated[str | None, _column("Rate of those counts, per row.")] = None,
    col_url: Annotated[str | None, _column("YouTube address of the source video.")] = None,
    col_camera: Annotated[str | None, _column("Camera file (npz) of the row.")] = None,
    path_template: Annotated[str | None, _column("Path from columns: {dir}/{id}.mp4.", "the path's column, or the preset's")] = None,
    col_id: Annotated[str | None, _column("Id of the source video: its clips share a split.")] = None,
    col_license: Annotated[str | None, _column("Licence of the row.")] = None,
    license: Annotated[str | None, typer.Option(help="Licence of every source that names none.", show_default="unknown")] = None,
    camera_root: Annotated[str | None, typer.Option(help="Folder of Sekai's camera files.", show_default="the video root")] = None,
    clip_frames: Annotated[int, typer.Option(help="Frames per clip; 0 makes every span one clip.")] = 48,
    clip_stride: options.ClipStride = None,
    snap: Annotated[SnapName, typer.Option(help="key-frames: clips begin there, and are copied without a decode.")] = "none",
    min_frames: Annotated[int, typer.Option(help="Frames; shorter sources are errors, shorter tails are left out.")] = 6,
    fps: Annotated[
        float | None,
        typer.Option(help="Pictures per second of folders of numbered pictures.", show_default="such folders are no sources"),
    ] = None,
    scene_cuts: Annotated[bool, typer.Option("--scene-cuts", help="Split where the picture cuts to another scene.")] = False,
    scene_threshold: Annotated[float, typer.Option(help="Change that counts as a cut (PySceneDetect's content detector).")] = 27.0,
    video: Annotated[VideoName, typer.Option(help="copy: bit-exact; h264: re-encoded to --long-side; auto: per source.")] = "auto",
    long_side: Annotated[int, typer.Option(help="Long side of re-encoded clips, in pixels.")] = 512,
    key_frame_every: Annotated[int, typer.Option(help="Frames from one key frame of a re-encoded clip to the next.")] = 12,
    quality: options.Quality = 20,
    clips_per_shard: options.ClipsPerShard = None,
    bytes_per_shard: Annotated[
        str | None, typer.Option(help="Instead: estimated size of a shard, such as 1GB.", show_default="by --clips-per-shard")
    ] = None,
    split_shares: options.SplitShares = "train=0.98,val=0.01,test=0.01",
    limit: options.Limit = None,
    retry_errors: Annotated[bool, typer.Option("--retry-errors", help="Try sources and clips again that failed before.")] = False,
    source_root: Annotated[
        list[str] | None,
        typer.Option(metavar="ID=FOLDER", help="Where a folder of sources lies now; repeat it.", show_default="as recorded"),
    ] = None,
    executor: options.Executor = "ray",
    max_error_rate: options.MaxErrorRate = 0.05,
    clip_time_limit: options.ClipTimeLimit = 600.0,
    max_attempts: options.MaxAttempts = 2,
    decompress: Annotated[bool, typer.Option("--decompress", help="Unpack compressed tars once, into ROOT/tars.")] = False,
    dry_run: options.DryRun = False,
) -> None:  # fmt: skip
    """Cut videos into clips of WebDataset shards below ROOT. Run it again to continue where it stopped."""

    def body() -> int:
        config = ShardingConfig(
            inputs=tuple(inputs),
            root=root,
            preset=preset,
            manifest=ManifestOptions(
                preset=None if preset in ("auto", "webdataset") else preset,
                video_root=video_root,
                col_path=col_path,
                col_start=col_start,
                col_end=col_end,
                col_clips=col_clips,
                col_start_frame=col_start_frame,
                col_end_frame=col_end_frame,
                frame_base_fps=frame_base_fps,
                col_base_fps=col_base_fps,
                col_url=col_url,
                col_camera=col_camera,
                path_template=path_template,
                col_id=col_id,
                col_license=col_license,
                license=license,
                camera_root=camera_root,
                picture_fps=fps,
            ),
            policy=ClipPolicy(
                clip_frames=clip_frames,
                clip_stride=clip_stride,
                snap=snap,
                min_frames=min_frames,
                scene_cuts=scene_cuts,
                scene_threshold=scene_threshold,
                video=video,
                encode=EncodePolicy(long_side=long_side, key_frame_every=key_frame_every, quality=quality),
                clips_per_shard=shard_size(root, clips_per_shard),
                bytes_per_shard=None if bytes_per_shard is None else parse_bytes(bytes_per_shard),
                split_shares=parse_shares(split_shares),
                limit=limit,
            ),
            executor=Executor(name=executor, limits=Limits(attempts=max_attempts, part_s=clip_time_limit)),
            source_roots=parse_places(source_root or []),
            retry_errors=retry_errors,
            decompress=decompress,
        )
        outcome = make_shards(config, dry_run=dry_run)
        print_summary("plan" if dry_run else "shards", summary_rows(root, outcome), next_commands=[] if dry_run else after_shards(root))
        for row in outcome.first_errors:
            typer.echo(f"  {row.stage}: {row.message}", err=True)
        say_unexpected(outcome.unexpected)
        if dry_run:
            return DONE
        return error_exit(outcome.num_errors, outcome.plan.clips + outcome.num_errors - outcome.failed_clips, max_error_rate)

    run_job(body)


def parse_bytes(text: str) -> int:
    """`1GB`, `500 MB`, `123`: bytes, in powers of 1000. Raises ConfigError."""
    match = re.fullmatch(r"\s*([\d.]+)\s*([KMGT]?)B?\s*", text.upper())
    if match is None:
        raise ConfigError(f"--bytes-per-shard {text!r} is no size; write 1GB, 500MB or a number of bytes")
    return round(float(match[1]) * _UNITS[match[2]])


def parse_shares(text: str) -> dict[str, float]:
    """`train=0.9,val=0.1` as a mapping. Raises ConfigError."""
    try:
        return {name.strip(): float(share) for name, share in (part.split("=") for part in text.split(","))}
    except ValueError as error:
        raise ConfigError(f"--split-shares {text!r} cannot be read; write train=0.98,val=0.01,test=0.01") from error


def parse_places(pairs: list[str]) -> dict[str, str]:
    """`0=/new/folder` pairs as a mapping. Raises ConfigError."""
    places = dict(pair.partition("=")[::2] for pair in pairs)
    if not all(name and folder for name, folder in places.items()):
        raise ConfigError(f"--source-root {', '.join(pairs)} cannot be read; write ID=FOLDER, with an id of source_roots.json")
    return places


def summary_rows(root: str, outcome: ShardingOutcome) -> list[tuple[str, object]]:
    """Summary rows: the plan of the whole root, and what this run added."""
    plan, added = outcome.plan, outcome.added
    rows: list[tuple[str, object]] = [
        ("root", root),
        ("sources", plan.sources),
        ("clips", f"{plan.clips}, {counted(plan.frames, 'frame')} in all, in {counted(plan.shards, 'shard')}"),
        ("new", f"{counted(added.clips, 'clip')} in {counted(added.shards, 'shard')}" if added.clips else "nothing"),
    ]
    if not plan.registered:
        inflation = f" ({plan.copy_inflation:.2f} times the bytes of their frames)" if plan.copied_clips else ""
        rows += [
            ("copied", f"{counted(plan.copied_clips, 'clip')}{inflation}; {plan.clips - plan.copied_clips} re-encoded"),
            ("estimate", f"{plan.estimated_bytes / 1e9:.3f} GB, {plan.estimated_cpu_hours:.2f} CPU hours"),
        ]
    if outcome.num_duplicates:
        rows.append(("duplicates", f"{counted(outcome.num_duplicates, 'row')} of clips that an earlier row asks for; the first is kept"))
    return [*rows, ("errors", f"{outcome.num_errors}{', see errors/ below the root' if outcome.num_errors else ''}")]


if __name__ == "__main__":
    app()
