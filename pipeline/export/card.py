"""The card of a publication, README.md: what it holds, who may use it, how good it is, and how to load it."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.audit.verdict import DECISIONS
from pipeline.export.redistribution import is_noncommercial, normalised
from pipeline.records import LabelSet

_HEAD_TAGS = ("point-tracking", "video", "trackmill")
_SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)
_NAMES = ("1K", "10K", "100K", "1M", "10M", "100M")
_MOST_REASONS = 8


@dataclass(slots=True)
class Figures:
    """Figures of all published clips, summed up from their index."""

    clips: int = 0
    frames: int = 0
    tracks: int = 0
    trusted: int = 0  # tracks of weight 0.5 or more
    measured: int = 0  # tracks whose weight is known
    weight_sum: float = 0.0
    seconds: float = 0.0
    verdicts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    licenses: Counter[str] = field(default_factory=Counter)  # clips by the licence of their source
    sources: dict[str, set[str]] = field(default_factory=dict)  # licence -> ids of sources

    def add(self, row: Mapping[str, Any]) -> None:
        """Count one clip of the index."""
        license = row["license"] or "not stated"
        self.clips += 1
        self.frames += row["num_frames"]
        self.tracks += row["num_tracks"]
        self.seconds += row["end_s"] - row["start_s"]
        self.licenses[license] += 1
        self.sources.setdefault(license, set()).add(row["source_id"])
        self.verdicts.update([] if row["verdict"] is None else [row["verdict"]])
        self.reasons.update(row["reasons"] or ())
        if row["mean_weight"] is not None:
            self.measured += row["num_tracks"]
            self.weight_sum += row["mean_weight"] * row["num_tracks"]
            self.trusted += row["trusted_tracks"]

    def document(self) -> dict[str, Any]:
        """In JSON types."""
        return {
            "clips": self.clips,
            "frames": self.frames,
            "seconds": round(self.seconds, 3),
            "tracks": self.tracks,
            "mean_weight": self.weight_sum / self.measured if self.measured else None,
            "trusted_tracks": self.trusted if self.measured else None,
            "verdicts": dict(sorted(self.verdicts.items())),
            "reasons": dict(sorted(self.reasons.items())),
            "licenses": {name: {"clips": count, "sources": len(self.sources[name])} for name, count in sorted(self.licenses.items())},
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """What a card speaks of."""

    title: str
    license: str  # of the labels, a name that the hub knows; "other" to leave it to the text
    label_set: LabelSet
    labels: str  # name of the label set
    audit: str | None
    figures: Figures
    with_video: bool
    repo: str | None

    def text(self) -> str:
        """The whole README.md."""
        parts = [self._head(), f"# {self.title}", self._contents(), self._licenses(), self._labeler(), self._audit(), self._loading()]
        return "\n\n".join([*parts, self._joining()]) + "\n"

    def _head(self) -> str:
        configs = {"labels": f"labels/{self.labels}/*.parquet", "index": "index/*.parquet"}
        if self.audit is not None:
            configs["audit"] = f"audit/{self.audit}/*.parquet"
        lines = ["---", f"license: {self.license}", f"pretty_name: {json.dumps(self.title)}", "task_categories:", "- other", "tags:"]
        lines += [f"- {tag}" for tag in (*_HEAD_TAGS, *(("webdataset",) if self.with_video else ()))]
        lines += ["size_categories:", f"- {size_category(self.figures.clips)}", "configs:"]
        for name, files in configs.items():
            lines += [f"- config_name: {name}", f"  data_files: {json.dumps(files)}"]
        return "\n".join([*lines, "---"])

    def _contents(self) -> str:
        figures = self.figures
        video = "with their videos" if self.with_video else "without their videos (join them with your own copies, below)"
        rows = [
            ("`index/*.parquet`", "one row per clip: source, times, size, hash of its video, verdict, weights"),
            (f"`labels/{self.labels}/*.parquet`", "one row per clip: positions, visibility, scores, queries of its tracks"),
        ]
        rows += [(f"`audit/{self.audit}/*.parquet`", "verdict, measures and weight of every track")] if self.audit else []
        rows += [("`shards/*.tar`", "the clips, as WebDataset samples")] if self.with_video else []
        return (
            f"Pseudo-labels of 2D point tracks in {figures.clips:,} clips ({figures.frames:,} frames, {figures.seconds / 60:.1f} minutes,"
            f" {figures.tracks:,} tracks), {video}. Made by trackmill.\n\n{table(('files', 'content'), rows)}"
        )

    def _licenses(self) -> str:
        rows = [(name, f"{count:,}", f"{len(self.figures.sources[name]):,}") for name, count in sorted(self.figures.licenses.items())]
        limits = [name for name in (*self.figures.licenses, self.label_set.license or "") if is_noncommercial(name)]
        warning = f"\n\n**Not for commercial use**, by {', '.join(sorted(set(limits)))}." if limits else ""
        about = "The videos keep their own licences" if self.with_video else "The videos are not here, and keep their own licences"
        weights = self.label_set.license or "none (no weights, or not stated)"
        return (
            f"## Licences\n\n{about}:\n\n{table(('licence of the source', 'clips', 'sources'), rows)}\n\nThe labels:"
            f" {self.license}. They were computed with weights under: {weights}.{warning}"
        )

    def _labeler(self) -> str:
        made = self.label_set
        rows = [
            ("labeler", f"`{made.labeler}`"),
            ("label set", f"`{self.labels}`"),
            ("configuration", f"`{json.dumps(dict(made.configuration), sort_keys=True)}`"),
            ("checkpoint", f"`{made.checkpoint}`" if made.checkpoint else "none"),
            ("its sha256", f"`{made.checkpoint_sha256}`" if made.checkpoint_sha256 else "none"),
            ("its licence", made.license or "none"),
            ("precision", made.precision),
            ("versions", ", ".join(f"{name} {version}" for name, version in sorted(made.versions.items())) or "not recorded"),
        ]
        return f"## How the labels were made\n\n{table(('', ''), rows)}"

    def _audit(self) -> str:
        figures = self.figures
        if self.audit is None:
            return "## Audit\n\nThese labels were **not audited**: wrong tracks count like right ones."
        share = figures.trusted / figures.measured if figures.measured else 0.0
        mean = figures.weight_sum / figures.measured if figures.measured else 0.0
        rows = [(decision, f"{figures.verdicts[decision]:,}") for decision in DECISIONS if figures.verdicts[decision]]
        reasons = ", ".join(f"{name} ({count})" for name, count in figures.reasons.most_common(_MOST_REASONS)) or "none"
        return (
            f"## Audit\n\nEvery clip has a verdict, and every track a weight in [0, 1]. Mean weight {mean:.3f}; {figures.trusted:,} of"
            f" {figures.measured:,} tracks ({share:.0%}) have a weight of 0.5 or more. Train on clips with the verdict `keep`.\n\n"
            f"{table(('verdict', 'clips'), rows)}\n\nCommonest remarks and reasons: {reasons}."
        )

    def _loading(self) -> str:
        remote = f'\n\nFrom the hub: `load_dataset("{self.repo}", "labels", split="train")`.' if self.repo else ""
        tars = "shards/*.tar" if self.with_video else "YOUR/*.tar"
        webdataset = f"With webdataset, labels are found by the hash of the video{'' if self.with_video else ' in tars of your own'}:"
        return (
            "## Loading\n\nThe code below runs in this folder. Positions are fixed point: pixels times 32; frame t of track n is element"
            " n * num_frames + t. Pixels are (x, y), integers at pixel centres.\n\n"
            f"{fenced('python', _DATASETS.format(labels=self.labels))}{remote}\n\nWith DuckDB:\n\n"
            f"{fenced('sql', _DUCKDB.format(labels=self.labels))}\n\n{webdataset}\n\n"
            f"{fenced('python', _WEBDATASET.format(labels=self.labels, tars=tars))}"
        )

    def _joining(self) -> str:
        return (
            "## Joining with videos\n\nA label belongs to the clip whose video has the hash `clip_sha256`; or to the frames at"
            " `timestamps` (seconds from the source's first frame) of `source`, at any size of the same proportions. Who cuts the same"
            " sources with trackmill, to a root of their own, joins them by\n\n"
            f"{fenced('python', _JOIN)}\n\nwhich writes a label set into that root, by hash, else by source and times."
        )


_DATASETS = """from datasets import load_dataset

labels = load_dataset("parquet", data_files="labels/{labels}/*.parquet", split="train")
row = labels[0]
T, N = row["num_frames"], row["num_tracks"]
x = [[row["tracks_x"][n * T + t] / 32 for t in range(T)] for n in range(N)]"""
_DUCKDB = """select i.key, i.verdict, i.mean_weight, l.tracks_x[1] / 32.0 as x, l.tracks_y[1] / 32.0 as y
from 'index/*.parquet' i join 'labels/{labels}/*.parquet' l using (key) order by i.key;"""
_WEBDATASET = """import glob
import hashlib

import pyarrow.parquet as pq
import webdataset as wds

files = sorted(glob.glob("labels/{labels}/*.parquet"))
labels = {{row["clip_sha256"]: row for file in files for row in pq.read_table(file).to_pylist()}}


def with_labels(sample):
    return {{**sample, "labels": labels.get(hashlib.sha256(sample["mp4"]).hexdigest())}}


dataset = wds.WebDataset(sorted(glob.glob("{tars}")), shardshuffle=False).map(with_labels)"""
_JOIN = """from pipeline.export.joining import join_published

join_published("FOLDER", "ROOT")"""


def size_category(count: int) -> str:
    """The hub's name for a dataset of so many rows."""
    place = sum(count >= size for size in _SIZES)
    if place == 0:
        return f"n<{_NAMES[0]}"
    return f"n>{_NAMES[-1]}" if place == len(_SIZES) else f"{_NAMES[place - 1]}<n<{_NAMES[place]}"


def hub_license(license: str | None) -> str:
    """A licence's name as the hub's cards write it; "other" where none is given."""
    return "other" if license is None else normalised(license)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def fenced(language: str, code: str) -> str:
    """A block of code in Markdown."""
    return f"```{language}\n{code}\n```"
