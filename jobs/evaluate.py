"""How good labels are, where the truth is known: `python jobs/evaluate.py labels --root ROOT --labels LABELSET`."""

from typing import Annotated

import typer

from jobs.console import error_exit, print_summary, run_job
from jobs.evaluating.job import EvaluatingConfig, Evaluation, evaluate_labels
from jobs.evaluating.plots import evaluation_sheet
from jobs.evaluating.report import evaluation_document
from jobs.evaluating.tables import print_tables
from pipeline import storage
from pipeline.drawing import write_image
from pipeline.tables import write_document

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def evaluate() -> None:
    """Measure against ground truth."""


@app.command("labels")
def labels_command(
    root: Annotated[str, typer.Option(help="Dataset with true tracks, made by jobs/convert.py or jobs/synthesize.py.")],
    labels: Annotated[list[str], typer.Option(help="Label set, made with --query-policy truth. Repeat it to compare several.")],
    split: Annotated[str | None, typer.Option(help="train, val or test; all clips by default.")] = None,
    out: Annotated[str | None, typer.Option(help="Folder or URL for evaluation.json and evaluation.png.")] = None,
    mode: Annotated[str, typer.Option(help="Frames that count: first, those after the query; strided, all but the query's.")] = "first",
    clips: Annotated[int, typer.Option(help="Clips in the printed table, the worst ones if there are more; 0 for none.")] = 24,
    max_error_rate: Annotated[float, typer.Option(help="Exit with 3 if a larger share of the clips cannot be read.")] = 0.05,
) -> None:  # fmt: skip
    """Label sets against true tracks (TAP-Vid's AJ, delta_avg and OA; median error; survival), all on the same clips."""

    def body() -> int:
        config = EvaluatingConfig(root=root, label_sets=tuple(labels), split=split, query_mode=mode)
        evaluation = evaluate_labels(config)
        print_tables(evaluation, num_clips=clips)
        if out is not None:
            write_evaluation(storage.absolute(out), evaluation)
        print_summary("evaluation", summary_rows(evaluation, out))
        return error_exit(len(evaluation.clip_errors), evaluation.num_clips, max_error_rate, see="the warnings above")

    run_job(body)


def write_evaluation(folder: str, evaluation: Evaluation) -> None:
    """Publish the JSON, and the picture if any clip was measured."""
    write_document(storage.join(folder, "evaluation.json"), evaluation_document(evaluation), "evaluation")
    if evaluation.keys:
        write_image(storage.join(folder, "evaluation.png"), evaluation_sheet(evaluation))


def summary_rows(evaluation: Evaluation, out: str | None) -> list[tuple[str, object]]:
    """What was evaluated, and what was not."""
    config = evaluation.config
    unmatched = {one.label_set.name: sum(clip.num_unmatched for clip in one.clips) for one in evaluation.sets}
    rows: list[tuple[str, object]] = [
        ("clips", f"{len(evaluation.keys)} of {evaluation.num_clips}, split {config.split or 'all'}; the same for every set"),
        ("tracks", ", ".join(f"{sum(clip.num_tracks for clip in one.clips):,} {one.label_set.name}" for one in evaluation.sets)),
    ]
    if evaluation.left_out:
        rows.append(("left out", ", ".join(f"{count} {reason}" for reason, count in evaluation.left_out.items())))
    if any(unmatched.values()):
        rows.append(("no truth", ", ".join(f"{count} labels of {name}" for name, count in unmatched.items() if count)))
    rows.append(("written", f"{out}/evaluation.json and .png" if out else "nothing; --out DIR keeps the numbers, settings and plots"))
    return rows


if __name__ == "__main__":
    app()
