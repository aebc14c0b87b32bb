"""State of a dataset: what it holds, what is missing, what is next. `trackmill status --root ROOT`, `python jobs/status.py --root ROOT`."""

from collections.abc import Mapping

import typer

from jobs import options
from jobs.console import DONE, counted, print_summary, run_job
from jobs.running.next_step import next_step
from jobs.running.root_status import AuditProgress, LabelProgress, RootStatus, read_status
from pipeline.audit.verdict import DECISIONS
from pipeline.labels import STATUSES

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command("status", cls=options.command_of("--root /data/walks"))
def status_command(root: options.Root) -> None:
    """Tell what a dataset holds, what is missing, and which command is next. Reads its tables, no video; changes nothing."""

    def body() -> int:
        status = read_status(root)
        step = next_step(status, root)
        print_summary(f"{root}", [*status_rows(status), ("missing", step.missing)], next_commands=step.commands)
        return DONE

    run_job(body)


def status_rows(status: RootStatus) -> list[tuple[str, object]]:
    """Rows of the table: sources, clips, shards, screen, label sets, audits, errors, tombstones."""
    made = f"{status.dataset.get('kind', 'unknown')}, by trackmill {status.dataset.get('code_version', 'of unknown version')}"
    rows: list[tuple[str, object]] = [("dataset", made)]
    if status.plan is not None:
        licenses = ", ".join(f"{count} {name}" for name, count in status.dataset.get("licenses", {}).items())
        clips = f"{status.clips_cut} of {status.plan.clips} planned have a video; {status.plan.frames} frames are planned"
        rows += [
            ("sources", f"{status.plan.sources}; licences: {licenses or 'none stated'}"),
            ("clips", clips),
            ("shards", f"{len(status.cut)} of {len(status.shards)} cut"),
            ("screen", _screen_text(status)),
        ]
    rows += [("label set", _label_text(each, status)) for each in status.labels] or [("label sets", "none")]
    rows += [("audit", _audit_text(each)) for each in status.audits] or [("audits", "none")]
    errors = ", ".join(f"{count} in {stage}" for stage, count in sorted(status.errors.items()))
    rows.append(("errors", f"{errors}; see errors/ below the root" if errors else "none"))
    if status.forgotten:
        rows.append(("forgotten", f"{counted(status.forgotten, 'clip')}, by tombstones: readers leave them out"))
    return rows


def _screen_text(status: RootStatus) -> str:
    if status.screened is None:
        return "not begun"
    return f"{len(status.screened)} of {counted(len(status.cut), 'shard')}; {_decisions(status.screen_decisions)}"


def _label_text(progress: LabelProgress, status: RootStatus) -> str:
    label_set = progress.label_set
    counts = ", ".join(f"{progress.statuses[name]} {name}" for name in STATUSES if progress.statuses.get(name))
    done = f"{len(progress.shards)} of {counted(len(status.cut), 'shard')}"
    return f"{label_set.name}: {label_set.kind} by {label_set.labeler}, {done}; {counts or 'no clip yet'}"


def _audit_text(progress: AuditProgress) -> str:
    if progress.passes is None:
        return f"{progress.audit.name}: begun, {counted(len(progress.shards), 'shard')}, not summed up yet"
    mean = f"mean weight {progress.weight_sum / progress.num_tracks:.3f}" if progress.num_tracks else "no tracks"
    gate = "may be trained on" if progress.passes else "the gate says no"
    of = "" if progress.audit.name == progress.audit.label_set else f" of {progress.audit.label_set}"
    return f"{progress.audit.name}{of}: {_decisions(progress.decisions)}; {mean}; {gate}"


def _decisions(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{decision} {counts[decision]}" for decision in DECISIONS if counts.get(decision)) or "no clip yet"


if __name__ == "__main__":
    app()
