"""Label every clip of a dataset, with tracks, depth or flow: `python jobs/pseudolabel.py --root ROOT --labeler NAME`."""

import json
from typing import Annotated, Any, Literal

import typer

from jobs import options
from jobs.console import counted, error_exit, print_summary, run_job, say_unexpected
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.labeling.job import LabelingConfig, LabelingOutcome, label_dataset
from jobs.labeling.worker import FRAMES_IN_MEMORY
from jobs.next_commands import after_labels
from labelers import LABELERS, QueryPolicy
from labelers.queries import Policy
from pipeline.errors import ConfigError
from pipeline.records.labels import QUERY_FRAMES

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_QueryFrames = Annotated[
    int | None,
    typer.Option(
        help="Frames that queries start on, spread evenly; 1 is the first frame.", show_default=f"{QUERY_FRAMES}; truth has its own"
    ),
]
_POINTS, _PIXELS = ("points", " (track x frame)"), ("pixels", "")
_COUNTED = {"tracks": _POINTS, "tracks3d": _POINTS, "depth": _PIXELS, "flow": _PIXELS}  # what is counted of a kind's labels

ScreenName = Literal["obey", "ignore"]


@app.command(
    cls=options.command_of(
        "--root /data/walks --labeler dis-flow --queries 512",
        "--root s3://lab/walks --labeler cotracker3-offline --num-gpus-per-worker 1"
        " --checkpoint hf://facebook/cotracker3/scaled_offline.pth",
    )
)
def pseudolabel(
    root: options.Root,
    labeler: Annotated[str, typer.Option(help=f"{', '.join(LABELERS)}, or module:factory of your own.")],
    queries: Annotated[int, typer.Option(help="Points followed per clip.")] = 256,
    query_policy: Annotated[Policy, typer.Option(help="Where points are asked; truth: at points of true tracks.")] = "grid",
    query_frames: _QueryFrames = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(help="Weights, for labelers that have any: a path, or hf://OWNER/MODEL/FILE.", show_default="none"),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="Option of the labeler; repeat it.", show_default="the labeler's own"),
    ] = None,
    executor: options.Executor = "ray",
    num_workers: options.NumWorkers = None,
    num_cpus_per_worker: options.NumCpusPerWorker = 1.0,
    num_gpus_per_worker: options.NumGpusPerWorker = 0.0,
    clips_per_batch: Annotated[int, typer.Option(help="Clips that the labeler is given at once.", rich_help_panel=options.RAY)] = 1,
    items_ahead: Annotated[
        int, typer.Option(help="Batches that each worker fetches and decodes ahead.", rich_help_panel=options.RAY)
    ] = 1,
    frames_in_memory: Annotated[int, typer.Option(help="Clips of more frames are decoded while they are labelled.")] = FRAMES_IN_MEMORY,
    cycle: Annotated[bool, typer.Option("--cycle", help="Follow every track back too, for its cycle error. Twice the work.")] = False,
    screen: Annotated[ScreenName, typer.Option(help="obey: leave out the clips that jobs/audit.py screen dropped.")] = "obey",
    clip_time_limit: options.ClipTimeLimit = 600.0,
    max_attempts: options.MaxAttempts = 2,
    max_error_rate: options.MaxErrorRate = 0.05,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be labelled, and the label set's name.")] = False,
) -> None:  # fmt: skip
    """Label every clip. The last line is the label set's name. Run it again to continue where it stopped."""

    def body() -> int:
        options = parse_options(option or [])
        config = LabelingConfig(
            root=root,
            labeler=labeler,
            labeler_options={**options, **({"checkpoint": checkpoint} if checkpoint else {})},
            queries=QueryPolicy(policy=query_policy, num_queries=queries, num_query_frames=query_frames),
            executor=Executor(name=executor, limits=Limits(attempts=max_attempts, part_s=clip_time_limit)),
            num_workers=num_workers,
            num_cpus_per_worker=num_cpus_per_worker,
            num_gpus_per_worker=num_gpus_per_worker,
            clips_per_batch=clips_per_batch,
            items_ahead=items_ahead,
            frames_in_memory=frames_in_memory,
            screen=screen,
            cycle=cycle,
        )
        outcome = label_dataset(config, dry_run=dry_run)
        following = [] if dry_run else after_labels(root, outcome.label_set, kind=outcome.kind, query_policy=query_policy)
        print_summary("labels", summary_rows(outcome, num_gpus_per_worker), next_commands=following)
        say_unexpected(outcome.unexpected)
        code = error_exit(outcome.totals.failed + outcome.totals.quarantined, outcome.num_clips, max_error_rate)
        typer.echo(outcome.label_set)
        return code

    run_job(body)


def parse_options(pairs: list[str]) -> dict[str, Any]:
    """`name=value` pairs; values are JSON where they can be read as such, else text. Raises ConfigError."""
    options: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"--option {pair!r} has no value; write --option name=value")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options


def summary_rows(outcome: LabelingOutcome, num_gpus: float) -> list[tuple[str, object]]:
    """Rows of the summary. `num_gpus` is what each worker was granted."""
    totals, (noun, explained) = outcome.totals, _COUNTED.get(outcome.kind, ("values", ""))
    rows: list[tuple[str, object]] = [
        ("label set", outcome.label_set),
        ("this run", _run_text(outcome)),
    ]
    if outcome.not_cut:
        rows.append(("left out", f"{counted(outcome.not_cut, 'planned shard')} not cut yet: finish jobs/shard.py and run this again"))
    if outcome.screened is not None:
        rows.append(("screen", str(outcome.screened)))
    if totals.busy_s:
        rows += [
            ("labelled", f"{counted(totals.ok, 'clip')}, {totals.values:,} {noun}{explained}"),
            ("failed", f"{totals.failed}, quarantined {totals.quarantined}, left out on purpose {totals.screened}"),
        ]
        if totals.degraded:
            rows.append(("degraded", f"{counted(totals.degraded, 'clip')} labelled otherwise than configured; `notes` of the rows say how"))
        in_all, of_one = totals.values / outcome.elapsed_s, totals.values / totals.busy_s
        rows += [
            ("speed", f"{in_all:,.0f} {noun} per second in all, {of_one:,.0f} of one labeler at work"),
            ("waiting", _waiting(totals.waited_s / (totals.busy_s + totals.waited_s), num_gpus)),
        ]
    return rows


def _run_text(outcome: LabelingOutcome) -> str:
    run = f"{counted(outcome.num_clips, 'clip')} in {counted(outcome.num_shards, 'shard')}"
    return f"{run}; {counted(outcome.already_done, 'shard')} labelled before"


def _waiting(share: float, num_gpus: float) -> str:
    if not num_gpus:
        return f"{share:.0%} of the labelers' time went by waiting for frames"
    if num_gpus >= 1:
        return f"the GPUs stood idle {share:.0%} of the time, waiting for frames"
    return f"workers that share a GPU waited {share:.0%} of the time for frames; the GPUs stood idle for at most that long"


if __name__ == "__main__":
    app()
