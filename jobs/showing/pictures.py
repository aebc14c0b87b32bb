"""Clips drawn: one in motion, or many on a sheet."""

from pathlib import PurePosixPath

import numpy as np

from jobs.showing.clips import MAX_FRAMES, LoadedClip, Shown, choose_clip, count_planned, find_clip, load_clip, spread_clips
from pipeline.drawing import SheetCell, clip_cell, contact_sheet, draw_tracks
from pipeline.drawing.style import ramp


def draw_clip(shown: Shown, key: str | None) -> tuple[np.ndarray, float]:
    """(frames uint8 "T H W 3" with tracks drawn, frames per second) of one clip, by default from the middle."""
    clip = load_clip(shown, choose_clip(shown.root, key))
    drawn = clip.frames if clip.labels is None else draw_tracks(clip.frames, clip.labels, style=clip.style)
    return drawn, clip.stored.record.fps


def draw_sheet(shown: Shown, key: str | None, num_clips: int) -> np.ndarray:
    """A contact sheet, uint8 "H W 3", of one clip or of clips spread over the dataset."""
    chosen = [find_clip(shown.root, key)] if key else spread_clips(shown.root, num_clips)
    cells = [_cell(load_clip(shown, clip)) for clip in chosen]
    place = f"{len(chosen)} of {count_planned(shown.root)} clips below {PurePosixPath(shown.root).name}"
    return contact_sheet(
        cells,
        title=shown.label_set or "clips",
        subtitle=place if shown.audit is None else f"{place}, judged by audit {shown.audit}",
        ramp=None if shown.audit is None else ramp(),
    )


def audit_note(clip: LoadedClip) -> str:
    """The audit's word on a clip: decision, reasons, mean weight; empty where there is none."""
    if clip.audit is None:
        return ""
    verdict = clip.audit.verdict
    reasons = f": {', '.join(verdict.reasons)}" if verdict.reasons else ""
    weight = f"   mean weight {clip.weights.mean():.2f}" if clip.weights is not None and len(clip.weights) else ""
    return f"{verdict.decision}{reasons}{weight}"


def _cell(clip: LoadedClip) -> SheetCell:
    frames = clip.stored.record.frames
    notes = [audit_note(clip), f"the first of {frames} frames" if frames > MAX_FRAMES else ""]
    return clip_cell(clip.stored.entry.key, clip.frames, clip.labels, note="   ".join(note for note in notes if note), style=clip.style)
