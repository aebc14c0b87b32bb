"""Render synthetic clips with exact truth into WebDataset shards: `python jobs/synthesize.py --root ROOT --domain studio`."""

from typing import Annotated, Literal

import typer

from jobs import options
from jobs.console import run_job
from jobs.converting.job import ConvertingConfig, convert
from jobs.converting.report import report
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.shard import parse_shares
from pipeline.datasets.planning import ConversionPolicy
from pipeline.shards.dataset import shard_size
from pipeline.synthetic.source import SyntheticSource

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

DomainName = Literal["studio", "wild", "planes"]


@app.command(
    cls=options.command_of(
        "--root /data/studio --domain studio --num-clips 48",
        "--root /data/wild --domain wild --num-clips 24 --executor inline",
        former={"--frames": "--clip-frames", "--tracks": "--queries", "--split": "--split-shares"},
    )
)
def synthesize(
    root: options.NewRoot,
    domain: Annotated[DomainName, typer.Option(help="studio: clean, for training; wild and planes: their truth is for evaluation.")],
    num_clips: Annotated[int, typer.Option(help="Clips to render.")],
    seed: Annotated[int, typer.Option(help="Equal seeds give equal clips, whatever their number.")] = 0,
    clip_frames: Annotated[int, typer.Option(help="Frames per clip.")] = 24,
    height: Annotated[int, typer.Option(help="Height of the frames in pixels, even.")] = 168,
    width: Annotated[int, typer.Option(help="Width of the frames in pixels, even.")] = 224,
    queries: Annotated[int, typer.Option(help="Points followed per clip, their queries spread over its frames.")] = 256,
    quality: options.Quality = 18,
    split_shares: options.SplitShares = "train=0.98,val=0.01,test=0.01",
    clips_per_shard: options.ClipsPerShard = None,
    executor: options.Executor = "ray",
    max_error_rate: options.MaxErrorRate = 0.05,
    clip_time_limit: options.ClipTimeLimit = 600.0,
    max_attempts: options.MaxAttempts = 2,
    dry_run: options.DryRun = False,
) -> None:  # fmt: skip
    """Render clips of one domain below ROOT. Run it again to continue where it stopped; every clip is the same again."""

    def body() -> int:
        source = SyntheticSource(
            domain=domain, num_clips=num_clips, seed=seed, num_frames=clip_frames, size=(height, width), num_tracks=queries
        )
        config = ConvertingConfig(
            root=root,
            policy=ConversionPolicy(
                clip_frames=0,
                min_frames=min(clip_frames, 6),
                quality=quality,
                reprojected_tracks=0,
                split_shares=parse_shares(split_shares),
                clips_per_shard=shard_size(root, clips_per_shard),
            ),
            executor=Executor(name=executor, limits=Limits(attempts=max_attempts, part_s=clip_time_limit)),
            doing="rendering",
        )
        return report(convert(source, config, dry_run=dry_run), root, max_error_rate)

    run_job(body)


if __name__ == "__main__":
    app()
