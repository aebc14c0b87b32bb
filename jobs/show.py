"""Look at clips and labels: a clip with its tracks as a video, or a contact sheet of a label set."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated

import numpy as np
import pyarrow.compute as pc
import typer

from jobs.console import DONE, run_job
from pipeline import storage
from pipeline.drawing import ANIMATION_SUFFIXES, clip_cell, contact_sheet, draw_tracks, spread_frames, write_animation, write_image
from pipeline.errors import ConfigError, DataError
from pipeline.labels import read_label_set, read_label_shard
from pipeline.layout import Layout, committed
from pipeline.records import TrackLabels
from pipeline.shards.index import ClipEntry, read_index, read_video
from pipeline.shards.plan import read_plan_counts
from pipeline.shards.tombstones import read_tombstones
from pipeline.tables import read_table
from pipeline.video.reader import read_clip_frames

MAX_FRAMES = 300  # of a longer clip only so many are drawn: they lie in memory at full size
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def show(
    root: Annotated[str, typer.Option(help="Dataset made by jobs/shard.py.")],
    out: Annotated[str, typer.Option(help="FILE.png: a contact sheet. FILE.mp4, .webp, ...: one clip in motion.")],
    labels: Annotated[str | None, typer.Option(help="Label set to draw; clips alone without it.")] = None,
    clip: Annotated[str | None, typer.Option(help="Key of the clip; one from the middle by default.")] = None,
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
    """(frames uint8 "T H W 3" with tracks drawn, frames per second) of one clip, by default from the middle."""
    clip = _find(root, key) if key else _spread(root, 1)[0]
    frames, labels = _frames(root, clip.entry), _labels(root, label_set, clip)
    record = clip.entry.record
    return (frames if labels is None else draw_tracks(frames, labels)), record.fps if record else 30.0


def draw_sheet(root: str, label_set: str | None, key: str | None, num_clips: int) -> np.ndarray:
    """A contact sheet, uint8 "H W 3", of one clip or of clips spread over the dataset."""
    chosen = [_find(root, key)] if key else _spread(root, num_clips)
    cells = [
        clip_cell(clip.entry.key, _frames(root, clip.entry), _labels(root, label_set, clip), note=_note(clip.entry)) for clip in chosen
    ]
    planned = int(read_plan_counts(root).counts().sum())
    return contact_sheet(cells, title=label_set or "clips", subtitle=f"{len(chosen)} of {planned} clips below {PurePosixPath(root).name}")


@dataclass(frozen=True, slots=True)
class _StoredClip:
    """A clip that was cut, and the shard that it lies in."""

    shard: int
    entry: ClipEntry


def _find(root: str, key: str) -> _StoredClip:
    """The clip of this key. Raises ConfigError if the plan has none, or it was not cut."""
    plan = read_table(Layout(root).plan, "plan", ["key", "shard"])
    shards = plan.filter(pc.equal(plan["key"], key))["shard"].to_pylist()
    found = [clip for shard in shards for clip in _clips_of(root, shard) if clip.entry.key == key]
    if not found:
        raise ConfigError(f"no clip {key} under {root}; see the keys in shards/*.parquet")
    return found[0]


def _spread(root: str, count: int) -> list[_StoredClip]:
    """Up to `count` clips, spread evenly over the shards and within each; only as many shards are opened as clips are needed."""
    shards = sorted(committed(storage.join(root, "shards")))
    if not shards:
        raise ConfigError(f"{root} has no shard yet; run jobs/shard.py to the end")
    opened = [shards[place] for place in spread_frames(len(shards), min(count, len(shards)))]
    per_shard = -(-count // len(opened))
    chosen = []
    for shard in opened:
        clips = _clips_of(root, shard)
        chosen += [clips[place] for place in spread_frames(len(clips), min(per_shard, len(clips)))] if clips else []
    if not chosen:
        raise ConfigError(f"no clip of {root} was cut; see errors/shards")
    return chosen[:count]


def _clips_of(root: str, shard: int) -> list[_StoredClip]:
    if not storage.exists(Layout(root).shard_index(shard)):
        return []
    tombstones = read_tombstones(root)
    return [_StoredClip(shard, entry) for entry in read_index(root, shard) if entry.record is not None and not tombstones.cover(entry)]


def _frames(root: str, entry: ClipEntry) -> np.ndarray:
    if entry.record is None:
        raise DataError(f"clip {entry.key} was not cut; see errors/shards")
    shown = range(min(entry.record.frames, MAX_FRAMES))
    return read_clip_frames(read_video(root, entry), entry.record, indices=shown, threads=0)


def _note(entry: ClipEntry) -> str:
    frames = entry.record.frames if entry.record else 0
    return f"the first of {frames} frames" if frames > MAX_FRAMES else ""


def _labels(root: str, label_set: str | None, clip: _StoredClip) -> TrackLabels | None:
    key, record = clip.entry.key, clip.entry.record
    if label_set is None or record is None or not storage.exists(Layout(root).label_shard(label_set, clip.shard)):
        return None
    labelled = read_label_shard(root, label_set, clip.shard)
    if labelled.entry(key).status != "ok":
        return None
    labelled.check_clip(key, record.sha256)
    labels = labelled.labels(key)
    begun = labels.queries[:, 0] < MAX_FRAMES
    return TrackLabels(
        queries=labels.queries[begun], tracks_px=labels.tracks_px[:MAX_FRAMES, begun], visibility=labels.visibility[:MAX_FRAMES, begun]
    )


if __name__ == "__main__":
    app()
