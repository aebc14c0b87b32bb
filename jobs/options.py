"""Options of the jobs: those that several share, names that options had before, and commands whose --help ends with examples.

One name, one type and one sentence for each idea. `show_default` says in words what happens where the default is None.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from pipeline.shards.policy import CLIPS_PER_SHARD

RAY = "Ray and workers"  # the panel of --help for everything that says where and how widely a job runs

ExecutorName = Literal["ray", "inline"]
SplitName = Literal["train", "val", "test"]
PrecisionName = Literal["auto", "float32", "bfloat16", "float16"]

Root = Annotated[str, typer.Option(help="Dataset made by jobs/shard.py, jobs/convert.py or jobs/synthesize.py: a local path or URL.")]
NewRoot = Annotated[str, typer.Option(help="Where the dataset goes: a local path or a URL such as s3://bucket/name.")]
MaxErrorRate = Annotated[float, typer.Option(help="Exit with 3 if a larger share (0 to 1) of the clips, or of their sources, goes wrong.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Plan, check, estimate and print; write nothing.")]
ClipsPerShard = Annotated[
    int | None, typer.Option(help="Clips per shard.", show_default=f"{CLIPS_PER_SHARD}; in a root that exists, its own")
]
ClipStride = Annotated[int | None, typer.Option(help="Frames between the starts of two clips.", show_default="the clip length")]
Limit = Annotated[int | None, typer.Option(help="At most this many clips.", show_default="all")]
Split = Annotated[SplitName | None, typer.Option(help="Clips of one split.", show_default="all clips")]
SplitShares = Annotated[str, typer.Option(help="Shares of the splits, adding up to 1, by hash of the source.")]
Quality = Annotated[int, typer.Option(help="x264's constant rate factor, 0 to 51; lower is better and larger.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...; auto: a GPU if there is one.")]
Precision = Annotated[PrecisionName, typer.Option(help="Of the network; auto: by the device.")]
Pixels = Annotated[int, typer.Option(help="Pixels of a frame as the model sees it, at most.")]

Executor = Annotated[
    ExecutorName,
    typer.Option(help="ray: all cores of this machine, or the cluster at RAY_ADDRESS; inline: this process alone.", rich_help_panel=RAY),
]
NumWorkers = Annotated[
    int | None, typer.Option(help="Labelers at work.", show_default="as many as CPUs, or GPUs, allow", rich_help_panel=RAY)
]
NumCpusPerWorker = Annotated[float, typer.Option(help="CPUs of each: threads of its decoder and labeler.", rich_help_panel=RAY)]
NumGpusPerWorker = Annotated[float, typer.Option(help="GPUs of each; 0.5 lets two share one.", rich_help_panel=RAY)]
ClipTimeLimit = Annotated[float, typer.Option(help="Seconds per clip before it is given up (with Ray).", rich_help_panel=RAY)]
MaxAttempts = Annotated[
    int, typer.Option(help="Times that a clip may kill its worker before it is quarantined (with Ray).", rich_help_panel=RAY)
]


class JobCommand(TyperCommand):
    """A command that knows its options by former names too, hidden from --help, and whose --help ends with examples."""

    former: Mapping[str, str] = {}  # former name -> what stands for it now: a name, or a flag's name and value
    examples: Sequence[str] = ()  # arguments, each for one line

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, after former names were replaced, each with a word on standard error."""
        return super().parse_args(ctx, list(self._renamed(args)))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, and the examples as this command was called."""
        script = str(ctx.find_root().info_name).endswith(".py")
        called = f"python jobs/{ctx.command_path}" if script else ctx.command_path
        self.epilog = "\n\n".join(("Examples:", *(f"{called} {example}" for example in self.examples)))
        super().format_help(ctx, formatter)

    def _renamed(self, args: list[str]) -> Iterator[str]:
        for place, arg in enumerate(args):
            if arg == "--":  # what follows are no options
                yield from args[place:]
                return
            name, equals, value = arg.partition("=")
            if name not in self.former:
                yield arg
                continue
            *before, last = self.former[name].split()
            typer.echo(f"warning: {name} is now {self.former[name]}; the old name goes with the next release", err=True)
            yield from (*before, f"{last}{equals}{value}")


def command_of(*examples: str, former: Mapping[str, str] | None = None) -> type[JobCommand]:
    """Class of a command, for `app.command(cls=...)`.

    Args:
        examples: its arguments, each for one line.
        former: former name of an option -> its name now, or `--name value` where a flag became a value.
    """

    class Command(JobCommand):
        """The class of one command."""

    Command.examples, Command.former = examples, dict(former or {})
    return Command
