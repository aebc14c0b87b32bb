"""Cut videos into WebDataset shards, or register tars that others wrote: `python jobs/shard.py INPUT... --root ROOT`."""

import re
from typing import Annotated

import typer

from jobs import options
from jobs.console import DONE, error_exit, print_summary, run_job, say_unexpected
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.next_commands import after_shards
from jobs.sharding.job import ShardingConfig, ShardingOutcome, make_shards
from pipeline.errors import ConfigError
from pipeline.manifest import ManifestOptions
from pipeline.shards.policy import ClipPolicy
from pipeline.video.encode import EncodePolicy

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_COLUMNS = "Manifest columns (for tables without a preset)"


@app.command()
def shard(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help="Videos, folders, globs, tables, or tars.")],
    root: options.NewRoot,
    preset: Annotated[str, typer.Option(help="sekai, panda70m, openvid, koala36m, webvid, generic, folder, webdataset, auto.")] = "auto",
    video_root: Annotated[str | None, typer.Option(help="Folder that a table's paths are relative to; its own by default.")] = None,
    col_path: Annotated[str | None, typer.Option(help="Column of the video's path.", rich_help_panel=_COLUMNS)] = None,
    col_start: Annotated[str | None, typer.Option(help="Start: seconds or [H:]MM:SS.fff.", rich_help_panel=_COLUMNS)] = None,
    col_end: Annotated[str | None, typer.Option(help="End, as the start.", rich_help_panel=_COLUMNS)] = None,
    col_clips: Annotated[str | None, typer.Option(help="List of (start, end) pairs.", rich_help_panel=_COLUMNS)] = None,
    col_start_frame: Annotated[str | None, typer.Option(help="First frame.", rich_help_panel=_COLUMNS)] = None,
    col_end_frame: Annotated[str | None, typer.Option(help="One past the last frame.", rich_help_panel=_COLUMNS)] = None,
    frame_base_fps: Annotated[float | None, typer.Option(help="Rate of those counts.", rich_help_panel=_COLUMNS)] = None,
    col_base_fps: Annotated[str | None, typer.Option(help="Rate of those counts, per row.", rich_help_panel=_COLUMNS)] = None,
    col_url: Annotated[str | None, typer.Option(help="YouTube address of the source video.", rich_help_panel=_COLUMNS)] = None,
    col_camera: Annotated[str | None, typer.Option(help="Camera file (npz) of the row.", rich_help_panel=_COLUMNS)] = None,
    path_template: Annotated[str | None, typer.Option(help="Path from columns: {dir}/{id}.mp4.", rich_help_panel=_COLUMNS)] = None,
    col_id: Annotated[str | None, typer.Option(help="Id of the source video: its clips share a split.", rich_help_panel=_COLUMNS)] = None,
    col_license: Annotated[str | None, typer.Option(help="Licence of the row.", rich_help_panel=_COLUMNS)] = None,
    license: Annotated[str | None, typer.Option(help="Licence of every source that names none.")] = None,
    camera_root: Annotated[str | None, typer.Option(help="Folder of Sekai's camera files.")] = None,
    clip_frames: Annotated[int, typer.Option(help="Frames per clip; 0 makes every span one clip.")] = 48,
    clip_stride: Annotated[int | None, typer.Option(help="Frames between the starts of two clips; the clip length by default.")] = None,
    snap: Annotated[str, typer.Option(help="none, or key-frames: clips begin there, and are copied without a decode.")] = "none",
    min_frames: Annotated[int, typer.Option(help="Shorter sources are errors, shorter tails are left out.")] = 6,
    fps: Annotated[float | None, typer.Option(help="Pictures per second: folders of numbered pictures are sources then.")] = None,
    scene_cuts: Annotated[bool, typer.Option("--scene-cuts", help="Split where the picture cuts to another scene.")] = False,
    scene_threshold: Annotated[float, typer.Option(help="Change that counts as a cut (PySceneDetect's content detector).")] = 27.0,
    video: Annotated[str, typer.Option(help="auto, copy (bit-exact), or h264 (re-encoded to --long-side).")] = "auto",
    long_side: Annotated[int, typer.Option(help="Long side of re-encoded clips, in pixels.")] = 512,
    key_frame_every: Annotated[int, typer.Option(help="Key-frame interval of re-encoded clips.")] = 12,
    quality: Annotated[int, typer.Option(help="x264's constant rate factor; lower is better.")] = 20,
    clips_per_shard: options.ClipsPerShard = 64,
    bytes_per_shard: Annotated[str | None, typer.Option(help="Instead: estimated size of a shard, such as 1GB.")] = None,
    split: options.SplitShares = "train=0.98,val=0.01,test=0.01",
    limit: options.Limit = None,
    retry_errors: Annotated[bool, typer.Option("--retry-errors", help="Try sources and clips again that failed before.")] = False,
    source_root: Annotated[list[str] | None, typer.Option(metavar="ID=FOLDER", help="Where a folder of sources lies now.")] = None,
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
                clips_per_shard=clips_per_shard,
                bytes_per_shard=None if bytes_per_shard is None else parse_bytes(bytes_per_shard),
                split_shares=parse_shares(split),
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
        raise ConfigError(f"--split {text!r} cannot be read; write train=0.98,val=0.01,test=0.01") from error


def parse_places(pairs: list[str]) -> dict[str, str]:
    """`0=/new/folder` pairs as a mapping. Raises ConfigError."""
    places = dict(pair.partition("=")[::2] for pair in pairs)
    if not all(name and folder for name, folder in places.items()):
        raise ConfigError(f"--source-root {', '.join(pairs)} cannot be read; write ID=FOLDER, with an id of source_roots.json")
    return places


def summary_rows(root: str, outcome: ShardingOutcome) -> list[tuple[str, object]]:
    """Summary rows: the plan of the whole root, and what this run added."""
    plan = outcome.plan
    rows: list[tuple[str, object]] = [
        ("root", root),
        ("sources", plan.sources),
        ("clips", f"{plan.clips} of {plan.frames} frames in {plan.shards} shards"),
        ("new", f"{outcome.added.clips} clips in {outcome.added.shards} shards" if outcome.added.clips else "nothing"),
    ]
    if not plan.registered:
        inflation = f" ({plan.copy_inflation:.2f} times the bytes of their frames)" if plan.copied_clips else ""
        rows += [
            ("copied", f"{plan.copied_clips} clips{inflation}; {plan.clips - plan.copied_clips} re-encoded"),
            ("estimate", f"{plan.estimated_bytes / 1e9:.3f} GB, {plan.estimated_cpu_hours:.2f} CPU hours"),
        ]
    if outcome.num_duplicates:
        rows.append(("duplicates", f"{outcome.num_duplicates} rows ask for a clip again; the first is kept"))
    return [*rows, ("errors", f"{outcome.num_errors}{', see errors/ below the root' if outcome.num_errors else ''}")]


if __name__ == "__main__":
    app()
