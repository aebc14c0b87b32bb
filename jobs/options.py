"""Options that several jobs share: one name, one type and one sentence each."""

from typing import Annotated

import typer

Root = Annotated[str, typer.Option(help="Dataset made by jobs/shard.py, jobs/convert.py or jobs/synthesize.py: a local path or URL.")]
NewRoot = Annotated[str, typer.Option(help="Where the dataset goes: a local path or a URL such as s3://bucket/name.")]
Executor = Annotated[str, typer.Option(help="ray, or inline: this process alone.")]
ClipTimeLimit = Annotated[float, typer.Option(help="Seconds per clip before it is given up (with Ray).")]
MaxAttempts = Annotated[int, typer.Option(help="Times that a clip may kill its worker before it is quarantined (with Ray).")]
MaxErrorRate = Annotated[float, typer.Option(help="Exit with 3 if a larger share of the clips, or of their sources, goes wrong.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Plan, check, estimate and print; write nothing.")]
ClipsPerShard = Annotated[int, typer.Option(help="Clips per shard.")]
Limit = Annotated[int | None, typer.Option(help="At most this many clips.")]
Split = Annotated[str | None, typer.Option(help="train, val or test; all clips by default.")]
SplitShares = Annotated[str, typer.Option(help="Shares of the splits, by hash of the source.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...; auto: a GPU if there is one.")]
Precision = Annotated[str, typer.Option(help="float32, bfloat16 or float16; auto: by the device.")]
Pixels = Annotated[int, typer.Option(help="Pixels of a frame as the model sees it, at most.")]
