"""Additions of a run to a root of foreign tars: new tars, results of scanning them, the next part of the plan."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from jobs.console import ProgressLine
from jobs.execution.run import Executor
from jobs.sharding.stages import RegisterStage
from pipeline import storage
from pipeline.layout import Layout, committed
from pipeline.shards.foreign import name_tars, plan_registered, read_tar_of, registered_tars
from pipeline.shards.plan import PlannedClip, plan_end, write_plan
from pipeline.shards.source_roots import SourceRoots


def register(
    root: str, uris: Sequence[str], *, roots: SourceRoots, stage: RegisterStage, executor: Executor, publish: bool
) -> list[PlannedClip]:
    """Scan the tars that are new, and publish the next part of the plan where there are some.

    Args:
        stage: the stage, without tars. Its root is where scans are published: `root`, or a folder that a dry run forgets.
    Returns: the rows of that part.
    """
    end = plan_end(root)
    known = registered_tars(root, roots, before=end.probe)
    tars = name_tars([uri for uri in uris if uri not in known], known, roots)
    numbered = {end.probe + place: replace(tar, unpack_below=stage.unpack_below) for place, tar in enumerate(tars)}
    scanned = committed(storage.join(stage.root, "probe"))
    for number in sorted(number for number in scanned if number >= end.probe):  # of an interrupted run, perhaps with other tars
        found = read_tar_of(Layout(stage.root).probe(number))
        if number not in numbered or found is None or found.reference != numbered[number].reference:
            storage.remove(Layout(stage.root).probe(number))
            scanned.discard(number)
    missing = sorted(set(numbered) - scanned)
    with ProgressLine("scanning", len(missing), "tars") as progress:
        executor.run(replace(stage, tars=numbered), missing, progress)
    clips = list(chain.from_iterable(plan_registered(stage.root, number) for number in sorted(numbered)))
    if publish and (numbered or not end.part):
        write_plan(root, iter(clips), end=end, probe_end=end.probe + len(numbered))
    return clips
