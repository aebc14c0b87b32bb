"""Paths below a dataset's ROOT: the directory format, in one place."""

import re
from dataclasses import dataclass

from pipeline.storage import join, list_files

_NUMBERED = re.compile(r"(\d{6,})\.(?:parquet|json)")


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of the files of one dataset; `root` is a local path or any fsspec URL."""

    root: str

    @property
    def dataset(self) -> str:
        """Schema version, clip and video policy, code version, licence of each source."""
        return join(self.root, "dataset.json")

    @property
    def single_plan(self) -> str:
        """The plan of a root made before plans had parts: it is read as part 0."""
        return join(self.root, "plan.parquet")

    @property
    def plan(self) -> str:
        """Directory of the plan's parts."""
        return join(self.root, "plan")

    def plan_part(self, part: int) -> str:
        """One row per clip, in shard order; each run that adds something appends a part."""
        return join(self.plan, f"{part:06d}.parquet")

    @property
    def source_roots(self) -> str:
        """Present folders of the sources: the one file that a move changes."""
        return join(self.root, "source_roots.json")

    def lock(self, work: str) -> str:
        """Held by the job that is at this work (shard, labels/SET, audit/NAME, screen, tombstones); a later one waits for it."""
        return join(self.root, "locks", work.replace("/", "-"))

    @property
    def tombstones(self) -> str:
        """Clips and sources to be forgotten; every reader obeys."""
        return join(self.root, "tombstones.parquet")

    def probe(self, number: int) -> str:
        """Probes of one group of sources."""
        return join(self.root, "probe", f"{number:06d}.parquet")

    @property
    def shards(self) -> str:
        """Directory of the shards."""
        return join(self.root, "shards")

    def shard_tar(self, shard: int) -> str:
        """The WebDataset tar of one shard."""
        return join(self.root, "shards", f"{shard:06d}.tar")

    def shard_index(self, shard: int) -> str:
        """The commit of one shard: written last."""
        return join(self.root, "shards", f"{shard:06d}.parquet")

    def checks(self, shard: int) -> str:
        """Figures of the checks on the clips of one converted shard."""
        return join(self.root, "checks", f"{shard:06d}.parquet")

    @property
    def check_summary(self) -> str:
        """All checks of a converted dataset, summed up."""
        return join(self.root, "checks.json")

    def errors(self, stage: str, number: int) -> str:
        """Errors of `stage` on one shard."""
        return join(self.root, "errors", stage, f"{number:06d}.parquet")

    def label_set(self, name: str) -> str:
        """Directory of a label set."""
        return join(self.root, "labels", name)

    def label_set_json(self, name: str) -> str:
        """Provenance of a label set."""
        return join(self.label_set(name), "label_set.json")

    def label_shard(self, name: str, shard: int) -> str:
        """Labels of one shard: also their commit."""
        return join(self.label_set(name), f"{shard:06d}.parquet")

    def label_tar(self, name: str, shard: int) -> str:
        """Files of one shard's labels, of a dense kind."""
        return join(self.label_set(name), f"{shard:06d}.tar")

    @property
    def screen(self) -> str:
        """Directory of the screen: measures and verdict of every clip by its picture alone."""
        return join(self.root, "screen")

    @property
    def screen_rules(self) -> str:
        """By which rules the clips of the screen were judged."""
        return join(self.screen, "rules.json")

    def screen_shard(self, shard: int) -> str:
        """The screen of one shard: also its commit."""
        return join(self.screen, f"{shard:06d}.parquet")

    def audit(self, name: str) -> str:
        """Directory of an audit; its name is the label set's, unless it was given one of its own."""
        return join(self.root, "audit", name)

    def audit_json(self, name: str) -> str:
        """Identity of an audit: the labels that it judged, and the rules."""
        return join(self.audit(name), "audit.json")

    def audit_shard(self, name: str, shard: int) -> str:
        """The audit of one shard: also its commit."""
        return join(self.audit(name), f"{shard:06d}.parquet")

    def audit_report(self, name: str, file: str) -> str:
        """Files made of all shards together: report.html, summary.json, clips.parquet, shards.parquet."""
        return join(self.audit(name), file)


def committed(directory: str) -> set[int]:
    """Numbers of the tables NNNNNN.parquet, or documents NNNNNN.json, in a directory (probe, shards, a label set), by one listing of it."""
    names = (uri.rsplit("/", 1)[-1] for uri in list_files(directory))
    return {int(match[1]) for match in map(_NUMBERED.fullmatch, names) if match}
