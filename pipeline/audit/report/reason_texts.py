"""Why a clip got its verdict: each reason in words, with what was measured against the limit."""

import math
from collections.abc import Mapping
from typing import Any

from pipeline.audit.report.limits import CLIP_COMPARISONS, Comparison
from pipeline.audit.report.wording import figure, percentage

REASON_SENTENCES: dict[str, str] = {
    "dark": "The picture is dark.",
    "blank": "Many frames show nothing.",
    "credits": "Text rolls over a dark ground.",
    "static": "Nothing moves.",
    "cut_inside": "The scene changes inside the clip.",
    "tombstoned": "The clip is to be forgotten.",
    "screened": "It was left unlabelled, as its picture had been turned down before.",
    "few_tracks": "Too few tracks are long enough to learn from.",
    "letterbox": "Black bars frame the picture.",
    "duplicate_frames": "Frames are repeated.",
    "fast_pan": "The camera pans too fast.",
    "bad_tracks": "Too many tracks are probably bad.",
    "low_survival": "Too few tracks find back to their query.",
    "collapsed_tracks": "Too many tracks run together.",
    "flicker": "Visibility flickers.",
    "deaths_at_once": "Many tracks end in the same frame, as at a cut.",
    "low_coverage": "The points cover too little of the picture.",
    "overlay_tracks": "Too many points stick to the screen, as on a logo.",
    "not_cut": "The clip was never cut from its source.",
    "unreadable": "The clip cannot be read.",
    "contract": "The labels hold what must not be.",
    "label_failed": "The labeler failed on the clip.",
    "label_quarantined": "The clip stopped its labeler more often than allowed.",
    "unlabelled": "The clip has no labels.",
    "static_allowed": "Nothing moves, which was allowed.",
    "fixed_camera": "The camera stands still.",
    "low_frame_rate": "The clip has so few frames per second that some tests of the picture were left out.",
    "cut_uncertain": "The scene may change inside the clip; at so few frames per second it cannot be told from motion.",
    "exposure_jump": "The brightness jumps.",
    "overlay": "Something stands still on the screen, such as a logo.",
    "mostly_dynamic": "Most of what is seen moves by itself: leave it out of losses on the camera.",
}
_SCREEN_COMPARISONS: dict[str, tuple[Comparison, ...]] = {
    "dark": (
        Comparison("luma_mean", "dark_luma", "at least", "plain", "mean grey level of 255"),
        Comparison("dark_share", "dark_share", "at most", "share", "dark pixels"),
    ),
    "blank": (Comparison("blank_share", "blank_share", "at most", "share", "blank frames"),),
    "credits": (
        Comparison("dark_share", "credits_dark_share", "at most", "share", "dark pixels"),
        Comparison("text_vertical_px", "credits_vertical_px", "at most", "px", "even upward motion per frame"),
    ),
    "static": (
        Comparison("displacement_px", "static_displacement_px", "at least", "px", "median motion over 8 frames"),
        Comparison("thumb_change_max", "static_thumb_change", "at least", "plain", "largest local change in grey levels"),
    ),
    "fixed_camera": (Comparison("displacement_px", "static_displacement_px", "at least", "px", "median motion over 8 frames"),),
    "low_frame_rate": (Comparison("fps", "min_fps", "at least", "plain", "frames per second"),),
    "letterbox": (Comparison("letterbox_share", "letterbox_share", "at most", "share", "area of the bars"),),
    "duplicate_frames": (Comparison("duplicate_share", "duplicate_share", "at most", "share", "repeated frames"),),
    "fast_pan": (Comparison("pan_width_share", "fast_pan_share", "at most", "share", "width panned per frame"),),
    "exposure_jump": (Comparison("exposure_step", "exposure_step", "at most", "share", "largest change of brightness"),),
    "overlay": (Comparison("overlay_share", "overlay_share", "at most", "share", "area of the overlay"),),
}


def reason_sentence(reason: str) -> str:
    """The reason in words; one that has no sentence yet, by its name."""
    return REASON_SENTENCES.get(reason, f"{reason.replace('_', ' ').capitalize()}.")


def reason_evidence(reason: str, *, measures: object, rules: Mapping[str, Any], screen: object, screen_rules: Mapping[str, Any]) -> str:
    """What was measured against which limit; "" where nothing is known.

    Args:
        measures, screen: of the labels (ClipMeasures) and of the picture (VideoMeasures); None where not measured.
    """
    if reason in ("cut_inside", "cut_uncertain") and (frames := getattr(screen, "cut_frames", ())):
        return f"the picture changes altogether at frame {', '.join(map(str, frames))}"
    found = [_evidence(comparison, screen, screen_rules) for comparison in _SCREEN_COMPARISONS.get(reason, ())]
    if reason in CLIP_COMPARISONS:
        found.append(_evidence(CLIP_COMPARISONS[reason], measures, rules))
    return "; ".join(text for text in found if text)


def _evidence(comparison: Comparison, measures: object, rules: Mapping[str, Any]) -> str:
    value, limit = getattr(measures, comparison.measure, None), rules.get(comparison.rule)
    if value is None or limit is None or not math.isfinite(value):
        return ""
    return f"{comparison.name}: {_written(value, comparison.kind)}, expected {comparison.bound} {_written(limit, comparison.kind)}"


def _written(value: float, kind: str) -> str:
    if kind == "share":
        return percentage(value)
    if kind == "count":
        return f"{value:,.0f}"
    return f"{figure(value)} px" if kind == "px" else figure(value)
