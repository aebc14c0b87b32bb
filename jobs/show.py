"""Look at clips and labels: a clip with its tracks as a video, or a contact sheet of a label set."""

from pathlib import PurePosixPath
from typing import Annotated

import numpy as np
import typer

from jobs.console import DONE, run_job
from pipeline import storage
from pipeline.drawing import ANIMATION_SUFFIXES, clip_cell, contact_sheet, draw_tracks, spread_frames, write_animation, write_image
from pipeline.errors import ConfigError, DataError
from pipeline.labels import LabelShard, read_label_set, read_label_shard
from pipeline.layout import Layout
from pipeline.records import TrackLabels
from pipeline.shards.index import ClipEntry, read_index, read_member
from pipeline.shards.plan import read_plan_counts
from pipeline.video.reader import read_clip_frames

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def show(
    root: Annotated[str, typer.Option(help="Dataset made by jobs/shard.py.")],
    out: Annotated[str, typer.Option(help="FILE.png: a contact sheet. FILE.mp4, .webp, ...: one clip in motion.")],
    labels: Annotated[str | None, typer.Option(help="Label set to draw; clips alone without it.")] = None,
    clip: Annotated[str | None, typer.Option(help="Key of the clip; the first one by default.")] = None,
    clips: Annotated[int, typer.Option(help="Clips on a contact sheet, spread over the shards.")] = 12,
) -> None:  # fmt: skip
    """Draw a clip, or a contact sheet, to a file."""

    def body() -> int:
        where = storage.absolute(root)
        if not storage.exists(Layout(where).plan):
            raise ConfigError(f"{where} holds no plan.parquet; make it with jobs/shard.py first, or check --root")
        if labels is not None:
            read_label_set(where, labels)
        suffix = PurePosixPath(out).suffix.lower()
        if suffix == ".png":
            write_image(storage.absolute(out), draw_sheet(where, labels, clip, clips))
        elif suffix in ANIMATION_SUFFIXES:
            frames, fps = draw_clip(where, labels, clip)
            write_animation(storage.absolute(out), frames, fps)
        else:
            raise ConfigError(f"--out {out}: cannot write {suffix or 'a file without suffix'}; use .png, {', '.join(ANIMATION_SUFFIXES)}")
        typer.echo(out)
        return DONE

    run_job(body)


def draw_clip(root: str, label_set: str | None, key: str | None) -> tuple[np.ndarray, float]:
    """(frames uint8 "T H W 3" with tracks drawn, frames per second) of one clip."""
    shard, entry = next(_entries(root, key), (None, None))
    if entry is None or shard is None or entry.record is None:
        raise ConfigError(f"no clip {key or ''} under {root}; see the keys in shards/*.parquet")
    frames = _frames(root, entry)
    found = _labels(root, label_set, shard, entry)
    return (frames if found is None else draw_tracks(frames, found)), entry.record.fps


def draw_sheet(root: str, label_set: str | None, key: str | None, num_clips: int) -> np.ndarray:
    """A contact sheet, uint8 "H W 3", of one clip or of clips spread over the dataset."""
    entries = list(_entries(root, key))
    if not entries:
        raise ConfigError(f"no clip {key or ''} under {root}; see the keys in shards/*.parquet")
    chosen = [entries[place] for place in spread_frames(len(entries), min(num_clips, len(entries)))]
    cells = [clip_cell(entry.key, _frames(root, entry), _labels(root, label_set, shard, entry)) for shard, entry in chosen]
    subtitle = f"{len(chosen)} of {len(entries)} clips below {PurePosixPath(root).name}"
    return contact_sheet(cells, title=label_set or "clips", subtitle=subtitle)


def _entries(root: str, key: str | None):  # type: ignore[no-untyped-def]
    """(shard, entry) of every stored clip, or of the one asked for."""
    for shard in read_plan_counts(root).shards.tolist():
        if storage.exists(Layout(root).shard_index(shard)):
            for entry in read_index(root, shard):
                if entry.record is not None and key in (None, entry.key, entry.sample_key):
                    yield shard, entry


def _frames(root: str, entry: ClipEntry) -> np.ndarray:
    if entry.record is None:
        raise DataError(f"clip {entry.key} was not cut; see errors/shards")
    return read_clip_frames(read_member(root, entry, entry.video), entry.record, threads=0)


def _labels(root: str, label_set: str | None, shard: int, entry: ClipEntry) -> TrackLabels | None:
    if label_set is None or entry.record is None:
        return None
    if not storage.exists(Layout(root).label_shard(label_set, shard)):
        return None
    labelled: LabelShard = read_label_shard(root, label_set, shard)
    if labelled.entry(entry.key).status != "ok":
        return None
    labelled.check_clip(entry.key, entry.record.sha256)
    return labelled.labels(entry.key)


if __name__ == "__main__":
    app()
