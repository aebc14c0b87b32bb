"""Render synthetic clips with exact truth into WebDataset shards: `python jobs/synthesize.py --root ROOT --domain studio`."""

from typing import Annotated

import typer

from jobs import options
from jobs.console import run_job
from jobs.converting.job import ConvertingConfig, convert
from jobs.converting.report import report
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.shard import parse_shares
from pipeline.datasets.planning import ConversionPolicy
from pipeline.synthetic.source import SyntheticSource

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def synthesize(
    root: options.NewRoot,
    domain: Annotated[str, typer.Option(help="studio (clean, for training), wild or planes (their truth is for evaluation).")],
    num_clips: Annotated[int, typer.Option(help="How many clips.")],
    seed: Annotated[int, typer.Option(help="Equal seeds give equal clips, whatever their number.")] = 0,
    frames: Annotated[int, typer.Option(help="Frames per clip.")] = 24,
    height: Annotated[int, typer.Option(help="Height of the frames, even.")] = 168,
    width: Annotated[int, typer.Option(help="Width of the frames, even.")] = 224,
    tracks: Annotated[int, typer.Option(help="Points followed per clip, their queries spread over its frames.")] = 256,
    quality: Annotated[int, typer.Option(help="x264's constant rate factor; lower is better.")] = 18,
    split: options.SplitShares = "train=0.98,val=0.01,test=0.01",
    clips_per_shard: options.ClipsPerShard = 64,
    executor: options.Executor = "ray",
    max_error_rate: options.MaxErrorRate = 0.05,
    clip_time_limit: options.ClipTimeLimit = 600.0,
    max_attempts: options.MaxAttempts = 2,
    dry_run: options.DryRun = False,
) -> None:  # fmt: skip
    """Render clips of one domain below ROOT. Run it again to continue where it stopped; every clip is the same again."""

    def body() -> int:
        source = SyntheticSource(domain=domain, num_clips=num_clips, seed=seed, num_frames=frames, size=(height, width), num_tracks=tracks)
        config = ConvertingConfig(
            root=root,
            policy=ConversionPolicy(
                clip_frames=0,
                min_frames=min(frames, 6),
                quality=quality,
                reprojected_tracks=0,
                split_shares=parse_shares(split),
                clips_per_shard=clips_per_shard,
            ),
            executor=Executor(name=executor, limits=Limits(attempts=max_attempts, part_s=clip_time_limit)),
        )
        return report(convert(source, config, dry_run=dry_run), root, max_error_rate)

    run_job(body)


if __name__ == "__main__":
    app()
