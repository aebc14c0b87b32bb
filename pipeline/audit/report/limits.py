"""Limits of the rules: lines in the charts of measures, and what was measured against them for each reason of a verdict."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.audit.calibrating.records import CalibrationRecord, calibration_from_document
from pipeline.audit.report.wording import figure, percentage
from pipeline.audit.stored.audit_set import AuditSet
from pipeline.audit.tracks.static_gate import STATIC_SCORE
from pipeline.audit.weights import FALLBACK_VERSION

TRUSTED_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class Limit:
    """A line in a chart."""

    value: float
    meaning: str


@dataclass(frozen=True, slots=True)
class RuleComparison:
    """A measure against the limit of a rule; `bound` is what would have been right."""

    measure: str
    rule: str
    bound: str  # at least | at most
    kind: str  # share | px | count | plain
    name: str  # of the measure, in words


CLIP_COMPARISONS: dict[str, RuleComparison] = {  # reason -> what decided it
    "few_tracks": RuleComparison("usable_tracks", "min_usable_tracks", "at least", "count", "usable tracks"),
    "bad_tracks": RuleComparison("bad_probability_mean", "bad_probability", "at most", "plain", "mean probability of being bad"),
    "low_survival": RuleComparison("survival_4", "survival_4", "at least", "share", "tracks that return to their query"),
    "collapsed_tracks": RuleComparison("collapse_share", "collapse_share", "at most", "share", "merged tracks"),
    "flicker": RuleComparison("flicker_mean", "flicker", "at most", "plain", "changes of visibility per frame"),
    "deaths_at_once": RuleComparison("deaths_max", "deaths", "at most", "share", "tracks that end in one frame"),
    "low_coverage": RuleComparison("cover_entropy", "cover_entropy", "at least", "plain", "spread over the picture, 0 to 1"),
    "overlay_tracks": RuleComparison("stuck_share", "stuck_share", "at most", "share", "tracks stuck to the screen"),
    "mostly_dynamic": RuleComparison("dynamic_ratio", "dynamic_ratio", "at most", "share", "dynamic tracks"),
}
SCREEN_COMPARISONS: dict[str, tuple[RuleComparison, ...]] = {
    "dark": (
        RuleComparison("luma_mean", "dark_luma", "at least", "plain", "mean grey level of 255"),
        RuleComparison("dark_share", "dark_share", "at most", "share", "dark pixels"),
    ),
    "blank": (RuleComparison("blank_share", "blank_share", "at most", "share", "blank frames"),),
    "credits": (
        RuleComparison("dark_share", "credits_dark_share", "at most", "share", "dark pixels"),
        RuleComparison("text_vertical_px", "credits_vertical_px", "at most", "px", "even upward motion per frame"),
    ),
    "static": (
        RuleComparison("displacement_px", "static_displacement_px", "at least", "px", "median motion over 8 frames"),
        RuleComparison("thumb_change_max", "static_thumb_change", "at least", "plain", "largest local change in grey levels"),
    ),
    "fixed_camera": (RuleComparison("displacement_px", "static_displacement_px", "at least", "px", "median motion over 8 frames"),),
    "low_frame_rate": (RuleComparison("fps", "min_fps", "at least", "plain", "frames per second"),),
    "letterbox": (RuleComparison("letterbox_share", "letterbox_share", "at most", "share", "area of the bars"),),
    "duplicate_frames": (RuleComparison("duplicate_share", "duplicate_share", "at most", "share", "repeated frames"),),
    "fast_pan": (RuleComparison("pan_width_share", "fast_pan_share", "at most", "share", "width panned per frame"),),
    "exposure_jump": (RuleComparison("exposure_step", "exposure_step", "at most", "share", "largest change of brightness"),),
    "overlay": (RuleComparison("overlay_share", "overlay_share", "at most", "share", "area of the overlay"),),
}
_CONSEQUENCE = {"mostly_dynamic": "remark"}
_TRACK_LIMITS: dict[str, tuple[Limit, ...]] = {
    "weight": (Limit(TRUSTED_WEIGHT, "trusted from here"),),
    "static_score": (Limit(STATIC_SCORE, "static from here"),),
    "oof": (Limit(0.0, "above: weight 0"),),
}
_FALLBACK_LIMITS: dict[str, tuple[Limit, ...]] = {  # of the weights without a calibration
    "fb_cycle": (Limit(4.0, "halves the weight"),),
    "neigh_max": (Limit(8.0, "halves the weight"),),
    "ncc_mean": (Limit(0.3, "below: weight × 0.05"), Limit(0.7, "above: full weight")),
    "len": (Limit(3.0, "below: weight 0"), Limit(8.0, "from here: full weight")),
}


def limits_of(measure: str, audit: AuditSet) -> tuple[Limit, ...]:
    """The lines of a measure of tracks or clips under the rules of this audit."""
    found = [each for each in CLIP_COMPARISONS.items() if each[1].measure == measure]
    lines = [_clip_limit(reason, comparison, audit.rules) for reason, comparison in found]
    tracks = _TRACK_LIMITS.get(measure, ())
    if audit.weights == FALLBACK_VERSION or measure == "len":
        tracks += _FALLBACK_LIMITS.get(measure, ())
    if measure == "bad_probability" and audit.calibration is not None:
        gates = calibration_of(audit.calibration).held_out.gates
        tracks += tuple(Limit(gate.threshold, f"below: {gate.bad_after:.0%} bad") for gate in gates)
    return (*tracks, *(line for line in lines if line is not None))


def _clip_limit(reason: str, comparison: RuleComparison, rules: Mapping[str, Any]) -> Limit | None:
    value = rules.get(comparison.rule)
    side = "below" if comparison.bound == "at least" else "above"
    return None if value is None else Limit(float(value), f"{side}: {_CONSEQUENCE.get(reason, 'not kept')}")


def calibration_of(document: Mapping[str, Any]) -> CalibrationRecord:
    """The calibration that an audit was made with. Raises: DataError if it is none."""
    return calibration_from_document(document, where="the audit's calibration")


def reason_evidence(reason: str, *, measures: object, rules: Mapping[str, Any], screen: object, screen_rules: Mapping[str, Any]) -> str:
    """Measured value and limit behind a reason; "" where nothing is known.

    Args:
        measures, screen: of the labels (ClipMeasures) and of the picture (VideoMeasures); None where not measured.
    """
    if reason in ("cut_inside", "cut_uncertain") and (frames := getattr(screen, "cut_frames", ())):
        return f"the picture changes completely at frame {', '.join(map(str, frames))}"
    found = [_evidence(comparison, screen, screen_rules) for comparison in SCREEN_COMPARISONS.get(reason, ())]
    if reason in CLIP_COMPARISONS:
        found.append(_evidence(CLIP_COMPARISONS[reason], measures, rules))
    return "; ".join(text for text in found if text)


def _evidence(comparison: RuleComparison, measures: object, rules: Mapping[str, Any]) -> str:
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
