"""Clips drawn: one in motion, or many on a sheet."""

from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

from jobs.showing.clips import (
    MAX_FRAMES,
    LoadedClip,
    Shown,
    ShownClip,
    choose_clip,
    count_planned,
    find_clip,
    load_clip,
    spread_clips,
)
from pipeline.drawing import SheetCell, clip_cell, contact_sheet, draw_tracks
from pipeline.drawing.depth import beside_depth, depth_pictures
from pipeline.drawing.flow import beside_flow, flow_pictures
from pipeline.drawing.sheet import Legend
from pipeline.drawing.style import ramp
from pipeline.labels import read_label_set
from pipeline.records import DepthLabels, FlowLabels

_LEGENDS: dict[str, Legend] = {DepthLabels.kind: "depth", FlowLabels.kind: "flow"}  # by kind; of others "tracks"


def draw_clip(shown: Shown, key: str | None) -> tuple[np.ndarray, float]:
    """(frames uint8 "T H W 3" with tracks drawn, or depth or flow beside them, frames per second) of one clip, by default the middle."""
    clip = load_clip(shown, choose_clip(shown.root, key))
    if clip.depth is not None:
        return beside_depth(clip.frames, depth_pictures(clip.depth.depth), clip.depth.scale), clip.stored.record.fps
    if clip.flow is not None:
        return beside_flow(clip.frames, flow_pictures(clip.flow.flow, clip.flow.valid)), clip.stored.record.fps
    drawn = clip.frames if clip.labels is None else draw_tracks(clip.frames, clip.labels, style=clip.style)
    return drawn, clip.stored.record.fps


def draw_sheet(shown: Shown, key: str | None, num_clips: int) -> np.ndarray:
    """A contact sheet, uint8 "H W 3", of one clip or of clips spread over the dataset."""
    return draw_clips(shown, sheet_clips(shown.root, key, num_clips))


def sheet_clips(root: str, key: str | None, num_clips: int) -> list[ShownClip]:
    """The clips of a contact sheet: the one of this key, or so many spread over the dataset."""
    return [find_clip(root, key)] if key else spread_clips(root, num_clips)


def draw_clips(shown: Shown, chosen: Sequence[ShownClip]) -> np.ndarray:
    """A contact sheet of these clips, uint8 "H W 3"."""
    cells = [cell for clip in chosen for cell in _cells(load_clip(shown, clip))]
    legend = _LEGENDS.get("" if shown.label_set is None else read_label_set(shown.root, shown.label_set).kind, "tracks")
    place = f"{len(chosen)} of {count_planned(shown.root)} clips of {PurePosixPath(shown.root).name}"
    return contact_sheet(
        cells,
        title=shown.label_set or "clips",
        subtitle=place if shown.audit is None else f"{place}, judged by audit {shown.audit}",
        ramp=None if shown.audit is None else ramp(),
        legend=legend,
    )


def describe_clip(clip: ShownClip, *, named: bool) -> str:
    """One line that says which clip is shown.

    Args:
        named: the user chose it; otherwise the line says why it is this one.
    """
    chosen = "" if named else "; the one in the middle, as --clip names none"
    return f"clip {clip.entry.key} (shard {clip.shard:06d}, {clip.entry.source}{chosen})"


def audit_note(clip: LoadedClip) -> str:
    """The audit's word on a clip: decision, reasons, mean weight; empty where there is none."""
    if clip.audit is None:
        return ""
    verdict = clip.audit.verdict
    reasons = f": {', '.join(verdict.reasons)}" if verdict.reasons else ""
    weight = f"   mean weight {clip.weights.mean():.2f}" if clip.weights is not None and len(clip.weights) else ""
    return f"{verdict.decision}{reasons}{weight}"


def _cells(clip: LoadedClip) -> list[SheetCell]:
    """The clip with its tracks; or as it is, and its depth or flow in a cell of its own."""
    frames = clip.stored.record.frames
    notes = [audit_note(clip), f"the first of {frames} frames" if frames > MAX_FRAMES else ""]
    key, note = clip.stored.entry.key, "   ".join(note for note in notes if note)
    if clip.depth is not None:
        return [clip_cell(key, clip.frames, None, note=note, legend="depth"), _depth_cell(key, clip.depth)]
    if clip.flow is not None:
        return [clip_cell(key, clip.frames, None, note=note, legend="flow"), _flow_cell(key, clip.flow)]
    return [clip_cell(key, clip.frames, clip.labels, note=note, style=clip.style)]


def _depth_cell(key: str, labels: DepthLabels) -> SheetCell:
    pictures = depth_pictures(labels.depth)
    valid = f"{(labels.depth > 0).mean():.0%} of the pixels have depth"
    return clip_cell(f"{key} depth", pictures.frames, None, note=f"{pictures.range_text(labels.scale)}   {valid}", legend="depth")


def _flow_cell(key: str, labels: FlowLabels) -> SheetCell:
    pictures = flow_pictures(labels.flow, labels.valid)
    has_pair = labels.to_frame >= 0
    valid = f"{labels.valid[has_pair].mean():.0%} of the pixels have flow" if has_pair.any() else "no pair of frames"
    return clip_cell(f"{key} flow", pictures.frames, None, note=f"{pictures.range_text()}   {valid}", legend="flow")
