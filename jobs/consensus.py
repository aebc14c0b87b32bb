"""Fuse label sets of tracks into one: `python jobs/consensus.py --root ROOT --labels SET --labels OTHER_SET`."""

from collections.abc import Sequence
from typing import Annotated

import typer

from jobs import options
from jobs.console import counted, error_exit, print_summary, run_job, say_unexpected
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.fusing.job import ConsensusConfig, ConsensusOutcome, fuse_dataset
from jobs.next_commands import after_labels
from pipeline.consensus.fusion import AGREE_PX
from pipeline.consensus.provenance import Member
from pipeline.records import TrackLabels

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_Labels = Annotated[
    list[str],
    typer.Option("--labels", help="Label set of tracks; repeat it. Where sets are equally good, the first of them counts."),
]
_Audit = Annotated[
    list[str] | None,
    typer.Option("--audit", help="Audit that says how far tracks are trusted; repeat it.", show_default="named as the label sets are"),
]
_NumWorkers = Annotated[int | None, typer.Option(help="Fusers at work.", show_default="as many as CPUs allow", rich_help_panel=options.RAY)]


@app.command(
    cls=options.command_of(
        "--root /data/walks --labels dis-flow-1a2b3c4d --labels lucas-kanade-1a2b3c4d",
        "--root /data/walks --labels dis-flow-1a2b3c4d --labels cotracker3-online-1a2b3c4d --labels cotracker3-offline-1a2b3c4d"
        " --equal-votes",
    )
)
def consensus(
    root: options.Root,
    labels: _Labels,
    agree_px: Annotated[float, typer.Option(help="Positions that are no farther apart agree; pixels of a raster of 256 x 256.")] = AGREE_PX,
    audit: _Audit = None,
    equal_votes: Annotated[bool, typer.Option("--equal-votes", help="Trust all tracks alike, and read no audit.")] = False,
    executor: options.Executor = "ray",
    num_workers: _NumWorkers = None,
    num_cpus_per_worker: options.NumCpusPerWorker = 1.0,
    clip_time_limit: options.ClipTimeLimit = 600.0,
    max_attempts: options.MaxAttempts = 2,
    max_error_rate: options.MaxErrorRate = 0.05,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be fused, and the label set's name.")] = False,
) -> None:  # fmt: skip
    """Fuse tracks of the same queries: the median of positions that agree, visibility by votes. The last line is the new set's name.

    Label sets of one labeler, of variants of CoTracker3, and of dis-flow and refined-flow, have one vote together.
    """

    def body() -> int:
        config = ConsensusConfig(
            root=root,
            labels=tuple(labels),
            executor=Executor(name=executor, limits=Limits(attempts=max_attempts, part_s=clip_time_limit)),
            agree_px=agree_px,
            equal_votes=equal_votes,
            audits=tuple(audit or ()),
            num_workers=num_workers,
            num_cpus_per_worker=num_cpus_per_worker,
        )
        outcome = fuse_dataset(config, dry_run=dry_run)
        name, policy = outcome.label_set.name, str(outcome.label_set.queries.get("policy", ""))
        following = [] if dry_run else after_labels(root, name, kind=TrackLabels.kind, query_policy=policy)
        print_summary("consensus", summary_rows(outcome), next_commands=following)
        say_unexpected(outcome.unexpected)
        code = error_exit(outcome.totals.failed + outcome.totals.quarantined, outcome.num_clips, max_error_rate)
        typer.echo(name)
        return code

    run_job(body)


def summary_rows(outcome: ConsensusOutcome) -> list[tuple[str, object]]:
    """Rows of the summary."""
    totals = outcome.totals
    run = f"{counted(outcome.num_clips, 'clip')} in {counted(outcome.num_shards, 'shard')}"
    rows: list[tuple[str, object]] = [
        ("label set", outcome.label_set.name),
        ("votes", _votes(outcome.members)),
        ("this run", f"{run}; {counted(outcome.already_done, 'shard')} fused before"),
    ]
    if outcome.not_ready:
        missing = "cut and labelled by all" if outcome.members[0].audit is None else "cut, labelled by all and audited"
        rows.append(("left out", f"{counted(outcome.not_ready, 'planned shard')} not {missing} yet: finish that and run this again"))
    if outcome.elapsed_s:
        fused = f"{counted(totals.ok, 'clip')}, {totals.values:,} points (track x frame)"
        rows += [
            ("fused", f"{fused}; failed {totals.failed}, quarantined {totals.quarantined}, left out {totals.screened}"),
            ("speed", f"{totals.values / outcome.elapsed_s:,.0f} points per second"),
        ]
    if totals.degraded:
        rows.append(("in part", f"{counted(totals.degraded, 'clip')} lack a label set, or tracks; `notes` of the rows say which"))
    return rows


def _votes(members: Sequence[Member]) -> str:
    sets: dict[str, list[str]] = {}
    for member in members:
        sets.setdefault(member.vote, []).append(member.label_set.name)
    by = "equal" if members[0].audit is None else "by the weights of their audits"
    counts = [f"{vote} ({counted(len(names), 'set')})" for vote, names in sets.items()]
    return f"{', '.join(counts)}; {by}"


if __name__ == "__main__":
    app()
