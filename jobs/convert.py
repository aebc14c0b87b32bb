"""Convert a dataset with ground truth into WebDataset shards: `python jobs/convert.py DATASET PATH --root ROOT`."""

from typing import Annotated, Any

import typer

from jobs import options
from jobs.console import run_job
from jobs.converting.job import ConvertingConfig, convert
from jobs.converting.report import report
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.pseudolabel import parse_options
from jobs.shard import parse_shares
from pipeline.datasets.planning import ConversionPolicy
from pipeline.datasets.source import DATASETS, clip_frames_of, make_source, min_frames_of
from pipeline.datasets.validation import finding_names
from pipeline.errors import ConfigError
from pipeline.shards.dataset import shard_size

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(
    "convert",
    cls=options.command_of(
        "kubric /data/kubric --root /data/kubric-clips --dry-run",
        "tartanair /data/tartanair --root s3://lab/tartanair --limit 20",
        former={"--split": "--split-shares"},
    ),
)
def convert_dataset(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help=f"{', '.join(DATASETS)}, or module:factory of your own.")],
    path: Annotated[str, typer.Argument(metavar="PATH", help="Folder that holds the dataset in its published layout.")],
    root: options.NewRoot,
    clip_frames: Annotated[
        int | None, typer.Option(help="Frames per clip; 0 makes every sequence one clip.", show_default="48, or as the benchmark has it")
    ] = None,
    clip_stride: options.ClipStride = None,
    min_frames: Annotated[
        int | None,
        typer.Option(help="Frames; shorter sequences are errors, shorter tails are left out.", show_default="6; of benchmarks 1"),
    ] = None,
    long_side: Annotated[
        int | None, typer.Option(help="Shrink frames and truth to this long side, in pixels.", show_default="the source's size")
    ] = None,
    quality: options.Quality = 18,
    reprojected_tracks: Annotated[int, typer.Option(help="Static points followed where there are depth and poses only; 0: none.")] = 1024,
    max_tracks: Annotated[int | None, typer.Option(help="Tracks kept per clip, drawn by its key.", show_default="all")] = None,
    split_shares: Annotated[
        str, typer.Option(help="Shares of the splits, adding up to 1, where the dataset prescribes none.")
    ] = "train=0.98,val=0.01,test=0.01",
    license: Annotated[str | None, typer.Option(help="Licence to record.", show_default="the dataset's own")] = None,
    trust_pickle: Annotated[bool, typer.Option("--trust-pickle", help="Read pickles that could run code: only what you trust.")] = False,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="Option of the dataset's reader; repeat it.", show_default="the reader's own"),
    ] = None,
    accept: Annotated[
        list[str] | None, typer.Option(metavar="FINDING", help="Finding of the checks that fails no clip; repeat it.", show_default="none")
    ] = None,
    clips_per_shard: options.ClipsPerShard = None,
    limit: options.Limit = None,
    executor: options.Executor = "ray",
    max_error_rate: options.MaxErrorRate = 0.05,
    clip_time_limit: options.ClipTimeLimit = 600.0,
    max_attempts: options.MaxAttempts = 2,
    dry_run: options.DryRun = False,
) -> None:  # fmt: skip
    """Convert a dataset into clips with their truth below ROOT. Run it again to continue where it stopped."""

    def body() -> int:
        unknown = sorted({*(accept or [])} - {*finding_names()})
        if unknown:
            raise ConfigError(f"--accept {', '.join(unknown)}: no such finding; known are {', '.join(finding_names())}")
        source = make_source(dataset, path, **_reader_options(option or [], license=license, trust_pickle=trust_pickle))
        config = ConvertingConfig(
            root=root,
            policy=ConversionPolicy(
                clip_frames=clip_frames_of(source, clip_frames),
                clip_stride=clip_stride,
                min_frames=min_frames_of(source, min_frames),
                long_side=long_side,
                quality=quality,
                reprojected_tracks=reprojected_tracks,
                max_tracks=max_tracks,
                split_shares=parse_shares(split_shares),
                accept=tuple(accept or ()),
                clips_per_shard=shard_size(root, clips_per_shard),
                limit=limit,
            ),
            executor=Executor(name=executor, limits=Limits(attempts=max_attempts, part_s=clip_time_limit)),
        )
        outcome = convert(source, config, dry_run=dry_run)
        return report(outcome, root, max_error_rate)

    run_job(body)


def _reader_options(pairs: list[str], *, license: str | None, trust_pickle: bool) -> dict[str, Any]:
    return {**parse_options(pairs), **({"license": license} if license else {}), **({"trust_pickle": True} if trust_pickle else {})}


if __name__ == "__main__":
    app()
