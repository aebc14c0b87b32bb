"""Where the rules draw a line through a measure, and what lies on the wrong side of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.audit.calibrating.record_file import calibration_from_document
from pipeline.audit.calibrating.records import CalibrationRecord
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
class Comparison:
    """A measure against the limit of a rule; `bound` is what would have been right."""

    measure: str
    rule: str
    bound: str  # at least | at most
    kind: str  # share | px | count | plain
    name: str  # of the measure, in words


CLIP_COMPARISONS: dict[str, Comparison] = {  # reason -> what decided it
    "few_tracks": Comparison("usable_tracks", "min_usable_tracks", "at least", "count", "usable tracks"),
    "bad_tracks": Comparison("bad_probability_mean", "bad_probability", "at most", "plain", "mean probability of being bad"),
    "low_survival": Comparison("survival_4", "survival_4", "at least", "share", "tracks that return to their query"),
    "collapsed_tracks": Comparison("collapse_share", "collapse_share", "at most", "share", "merged tracks"),
    "flicker": Comparison("flicker_mean", "flicker", "at most", "plain", "changes of visibility per step"),
    "deaths_at_once": Comparison("deaths_max", "deaths", "at most", "share", "tracks that end in one frame"),
    "low_coverage": Comparison("cover_entropy", "cover_entropy", "at least", "plain", "spread over the picture, 0 to 1"),
    "overlay_tracks": Comparison("stuck_share", "stuck_share", "at most", "share", "tracks stuck to the screen"),
    "mostly_dynamic": Comparison("dynamic_ratio", "dynamic_ratio", "at most", "share", "dynamic tracks"),
}
_CONSEQUENCE = {"mostly_dynamic": "remarked"}
_TRACK_LIMITS: dict[str, tuple[Limit, ...]] = {
    "weight": (Limit(TRUSTED_WEIGHT, "trusted from here on"),),
    "static_score": (Limit(STATIC_SCORE, "static from here on"),),
    "oof": (Limit(0.0, "above: weight 0"),),
}
_FALLBACK_LIMITS: dict[str, tuple[Limit, ...]] = {  # of the weights without a calibration
    "fb_cycle": (Limit(4.0, "halves the weight"),),
    "neigh_max": (Limit(8.0, "halves the weight"),),
    "ncc_mean": (Limit(0.3, "below: weight × 0.05"), Limit(0.7, "above: no discount")),
    "len": (Limit(3.0, "below: weight 0"), Limit(8.0, "from here on: no discount")),
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
        tracks += tuple(Limit(gate.threshold, f"keep below: {gate.bad_after:.0%} bad") for gate in gates)
    return (*tracks, *(line for line in lines if line is not None))


def _clip_limit(reason: str, comparison: Comparison, rules: Mapping[str, Any]) -> Limit | None:
    value = rules.get(comparison.rule)
    side = "below" if comparison.bound == "at least" else "above"
    return None if value is None else Limit(float(value), f"{side}: {_CONSEQUENCE.get(reason, 'not kept')}")


def calibration_of(document: Mapping[str, Any]) -> CalibrationRecord:
    """The calibration that an audit was made with. Raises: DataError if it is none."""
    return calibration_from_document(document, where="the audit's calibration")
