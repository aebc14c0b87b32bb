"""Calibrations of the audit from nothing: the suite is rendered, labelled, audited, and every figure of both halves is printed.

The suite is `configs/audit_suite.yaml`. Run again it continues where it stopped; `--out` keeps the records, which is how those that
come with the package were made.
"""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from material import machine

from pipeline.audit.calibrating.calibrate import calibrate
from pipeline.audit.calibrating.figures import ECE_BINS, auroc, expected_calibration_error, gate_report, reliability
from pipeline.audit.calibrating.fit import TermPlan, cross_validate
from pipeline.audit.calibrating.gather import AuditedDataset, gather
from pipeline.audit.calibrating.records import calibration_document, write_calibration
from pipeline.audit.calibrating.samples import samples_of
from pipeline.shards.plan import read_plan_counts

HERE = Path(__file__).parents[1]
LABELERS = {  # record: labeler and its options
    "dis-flow": ("dis-flow",),
    "dis-flow-jumps": ("dis-flow", "--option", "jumps=[1,2,4,8]"),
    "dis-flow-jumps-fitted": ("dis-flow", "--option", "jumps=[1,2,4,8]", "--option", "visibility_rule=fitted"),
    "lucas-kanade": ("lucas-kanade",),
    "refined-flow": ("refined-flow",),
}
VOTERS = ("dis-flow", "lucas-kanade")  # of the consensus


def main(
    folder: Annotated[Path, typer.Option(help="Where the suite lies, or is to be made: about 500 MB.")] = Path("out/audit_suite"),
    suite: Annotated[Path, typer.Option(help="Domains, seeds and sizes.")] = HERE / "configs" / "audit_suite.yaml",
    cycle: Annotated[bool, typer.Option(help="Follow every track back as well, and let the calibration use it.")] = False,
    consensus: Annotated[
        bool, typer.Option(help="Also for the consensus of two of these labelers, each trusted by its shipped calibration.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the records, one file per labeler.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="A record to make; several times for more.", show_default="all")] = None,
    side_by_side: Annotated[int, typer.Option(help="Datasets that are worked on at a time.")] = 2,
) -> None:
    """Print one JSON."""
    if consensus and cycle:
        raise typer.BadParameter("a consensus has no way back; give --consensus or --cycle")
    if unknown := set(only or ()) - set(LABELERS):
        raise typer.BadParameter(f"--only {', '.join(sorted(unknown))}: the records are {', '.join(LABELERS)}")
    plan = yaml.safe_load(suite.read_text())
    parts = [(half, part) for half in ("fit", "held_out") for part in plan[half]]
    results = {}
    with ThreadPoolExecutor(side_by_side) as pool:
        roots = list(pool.map(lambda each: _made(folder / each[0] / each[1]["domain"], each[1], plan), parts))
        for record in (*(only or LABELERS), *(["consensus"] if consensus else [])):
            made = _fused if record == "consensus" else partial(_audited, record=record)
            found = list(pool.map(partial(made, num_tracks=plan["tracks"], cycle=cycle), roots))
            audits = {half: [each for each, (its, _) in zip(found, parts, strict=True) if its == half] for half in ("fit", "held_out")}
            results[record] = _figures(audits["fit"], audits["held_out"], cycle)
            if out is not None:
                out.mkdir(parents=True, exist_ok=True)
                write_calibration(str(out / f"{record}.json"), calibrate(audits["fit"], audits["held_out"], _terms(cycle)))
    what = "probability of bad tracks, fitted on one half of the suite and tested on the other; AUROC over all tracks unless said otherwise"
    typer.echo(json.dumps({"what": what, "suite": plan, "cycle": cycle, "results": results, "machine": machine()}, indent=1))


def _made(root: Path, part: dict[str, Any], plan: dict[str, Any]) -> Path:
    size = ("--clip-frames", plan["frames"], "--height", plan["height"], "--width", plan["width"], "--queries", plan["tracks"])
    number = ("--num-clips", part["num_clips"], "--seed", part["seed"], "--clips-per-shard", 64)  # as the shipped records were made
    _job("synthesize.py", "--root", root, "--domain", part["domain"], *number, *size)
    if int(read_plan_counts(str(root)).counts(None).sum()) != part["num_clips"]:
        raise typer.BadParameter(f"{root} holds other clips than the suite asks for; give an empty --folder")
    return root


def _audited(root: Path, *, record: str, num_tracks: int, cycle: bool) -> AuditedDataset:
    name = _labelled(root, record, num_tracks, cycle)
    options = ("--calibration", "none", "--cycle", "stored" if cycle else "none", "--no-gate")
    _job("audit.py", "run", "--root", root, "--labels", name, *options)
    return gather(str(root), name)


def _fused(root: Path, *, num_tracks: int, cycle: bool) -> AuditedDataset:
    """The consensus of sets that were labelled before, audited without a calibration of its own."""
    members: list[str] = []
    for name in (_labelled(root, voter, num_tracks, cycle) for voter in VOTERS):
        _job("audit.py", "run", "--root", root, "--labels", name, "--name", f"{name}-calibrated", "--no-gate")
        members += ["--labels", name, "--audit", f"{name}-calibrated"]
    fused = _job("consensus.py", "--root", root, *members)
    _job("audit.py", "run", "--root", root, "--labels", fused, "--calibration", "none", "--no-gate")
    return gather(str(root), fused)


def _labelled(root: Path, record: str, num_tracks: int, cycle: bool) -> str:
    """The label set's name; it is made where it is not there."""
    back = ("--cycle",) if cycle else ()
    queries = ("--query-policy", "truth", "--queries", num_tracks)
    return _job("pseudolabel.py", "--root", root, "--labeler", *LABELERS[record], *queries, *back)


def _job(name: str, *arguments: object) -> str:
    """Run one of our command lines in this process's Python; its tables go to standard error. Returns its last line."""
    command = [sys.executable, str(HERE / "jobs" / name), *map(str, arguments), "--executor", "inline"]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    sys.stderr.write(said)
    return said.splitlines()[-1] if said else ""


def _terms(cycle: bool) -> TermPlan:
    plan = TermPlan()
    return TermPlan(measures={**plan.measures, "fb_cycle": "log"}) if cycle else plan


def _figures(fit: list[AuditedDataset], held_out: list[AuditedDataset], cycle: bool) -> dict[str, Any]:
    plan, samples = _terms(cycle), samples_of([each.samples for each in fit])
    record = calibrate(fit, held_out, plan)
    guessed = cross_validate(samples, plan)
    cross = {
        "auroc": auroc(guessed, samples.bad),
        "ece": expected_calibration_error(reliability(guessed, samples.bad, num_bins=ECE_BINS)),
        "gate": asdict(gate_report(guessed, samples.bad, 0.2)),
    }
    domains = {each.samples.datasets[0].split(" ")[0]: each for each in fit}
    wild = [each for each in held_out if each.samples.datasets[0].startswith("synthetic-wild")]
    moved = calibrate([domains["synthetic-studio"]], wild, plan).held_out
    spec = TermPlan(measures={"fb_cycle": "log", "ncc_min": "one-minus", "ncc_mean": "one-minus", "neigh_max": "log"}, num_knots=0)
    medians = {
        half: float((samples_of([each.samples for each in part]).median_error_px > 4).mean())
        for half, part in (("fit", fit), ("held_out", held_out))
    }
    return {
        "fit": asdict(record.fit),
        "cross_validated_on_fit": cross,
        "held_out": calibration_document(record)["held_out"],
        "studio_to_wild": {"auroc": moved.auroc, "ece": moved.ece, "gates": [asdict(each) for each in moved.gates]},
        "four_measures_of_the_first_experiment": calibrate(fit, held_out, spec).held_out.auroc,
        "share_with_median_error_above_4_px": medians,
        "terms": [term.measure for term in record.calibration.terms],
    }


if __name__ == "__main__":
    typer.run(main)
