"""The verdict on a clip, and every reason for it; the worst decides."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from pipeline.audit.clips.labels import ClipMeasures
from pipeline.audit.clips.video import VideoMeasures
from pipeline.errors import ConfigError, DataError

Decision = Literal["keep", "quarantine", "drop", "error"]
DECISIONS: tuple[Decision, ...] = get_args(Decision)  # from good to bad
REASONS: dict[str, Decision] = {  # what each reason leads to; those that lead to `keep` are remarks
    "dark": "drop",
    "blank": "drop",
    "credits": "drop",
    "static": "drop",
    "cut_inside": "drop",
    "tombstoned": "drop",
    "screened": "drop",  # left out when the labels were made
    "few_tracks": "drop",
    "letterbox": "quarantine",
    "duplicate_frames": "quarantine",
    "fast_pan": "quarantine",
    "bad_tracks": "quarantine",
    "low_survival": "quarantine",
    "collapsed_tracks": "quarantine",
    "flicker": "quarantine",
    "deaths_at_once": "quarantine",
    "low_coverage": "quarantine",
    "overlay_tracks": "quarantine",
    "label_failed": "quarantine",  # it has no labels: nothing in them is wrong, but where many have none the set is not fit for use
    "label_quarantined": "quarantine",  # likewise: it killed the labeler
    "not_cut": "error",
    "unreadable": "error",
    "contract": "error",
    "static_allowed": "keep",
    "fixed_camera": "keep",
    "low_frame_rate": "keep",
    "cut_uncertain": "keep",
    "exposure_jump": "keep",
    "overlay": "keep",
    "mostly_dynamic": "keep",
}


_CREDITS_FPS = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """A decision with all its reasons, the gravest first."""

    decision: Decision
    reasons: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = [reason for reason in self.reasons if reason not in REASONS]
        if unknown or self.decision not in DECISIONS:
            raise DataError(f"a verdict {self.decision!r} for {unknown or self.reasons}: no such decision or reason; audit this clip again")
        if self.decision != _worst(self.reasons):
            raise DataError(f"a verdict {self.decision!r} for {', '.join(self.reasons)}, expected {_worst(self.reasons)!r}")


def verdict_of(reasons: Iterable[str]) -> Verdict:
    """The verdict that these reasons give: `keep` without any."""
    ordered = sorted(dict.fromkeys(reasons), key=lambda reason: -DECISIONS.index(REASONS[reason]))
    return Verdict(decision=_worst(ordered), reasons=tuple(ordered))


def _worst(reasons: Iterable[str]) -> Decision:
    return max((REASONS[reason] for reason in reasons), key=DECISIONS.index, default="keep")


@dataclass(frozen=True, kw_only=True, slots=True)
class ScreenRules:
    """Thresholds of the screen. Pixels are those of a long side of 256.

    Source: the per-clip filters and the clip decision of the label quality specification; where it names no number, ours is marked.
    """

    version: str = "screen-2"
    allow_static: bool = False
    min_fps: float = 5.0  # ours: of fewer frames per second, neighbours differ as much as two scenes do
    dark_luma: float = 20.0  # grey levels
    dark_share: float = 0.9
    blank_share: float = 0.2
    static_displacement_px: float = 0.5
    static_thumb_change: float = 12.0  # grey levels; ours: above it something moves before a fixed camera, and the clip stays
    duplicate_share: float = 0.2
    letterbox_share: float = 0.04  # of the area; ours: thinner edges are left-overs of encoders
    credits_dark_share: float = 0.6
    credits_std_px: float = 0.1
    credits_vertical_px: float = 0.5
    credits_horizontal_px: float = 0.2
    fast_pan_share: float = 0.1  # of the width, per frame
    exposure_step: float = 0.25
    overlay_share: float = 0.005  # of the area; ours

    def __post_init__(self) -> None:
        _check_thresholds(asdict(self))


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipRules:
    """Thresholds for a labelled clip. Source: as for ScreenRules."""

    version: str = "clip-1"
    min_usable_tracks: int = 64
    bad_probability: float = 0.35
    survival_4: float = 0.6
    collapse_share: float = 0.05
    flicker: float = 0.2
    deaths: float = 0.4
    cover_entropy: float = 0.6
    stuck_share: float = 0.05
    dynamic_ratio: float = 0.7  # more: remarked, so that losses on poses can leave the clip out

    def __post_init__(self) -> None:
        _check_thresholds(asdict(self))


def screen_verdict(measures: VideoMeasures, rules: ScreenRules) -> Verdict:
    """Judge a clip by its picture. An unknown measure (NaN) is no evidence against it.

    Bars are not judged in dark or blank clips and credits, which read as all bar; doubled frames not in static or blank ones, where every
    frame is. Below `min_fps` what compares neighbouring frames does not mean what it says: a cut looks like any motion (a remark,
    `cut_uncertain`), and doubled frames, pans and steps of exposure are not judged. A clip of unknown rate is judged by all. Credits are
    judged by what they move in a frame, above 30 frames per second in 1 / 30 s: they roll no faster for being filmed more often.
    """
    pace = max(1.0, measures.fps / _CREDITS_FPS)
    slow = measures.fps < rules.min_fps
    dark = measures.luma_mean < rules.dark_luma or measures.dark_share > rules.dark_share
    blank = measures.blank_share > rules.blank_share
    still = measures.displacement_px < rules.static_displacement_px
    static = still and measures.thumb_change_max < rules.static_thumb_change
    rolling = (
        measures.dark_share > rules.credits_dark_share
        and measures.text_vertical_std_px < rules.credits_std_px
        and measures.text_vertical_px * pace > rules.credits_vertical_px
        and measures.text_horizontal_px * pace < rules.credits_horizontal_px
    )
    found = {
        "dark": dark,
        "blank": blank,
        "credits": rolling,
        "static": static and not rules.allow_static,
        "static_allowed": static and rules.allow_static,
        "fixed_camera": still and not static,
        "low_frame_rate": slow,
        "cut_inside": bool(measures.cut_frames) and not slow,
        "cut_uncertain": bool(measures.cut_frames) and slow,
        "letterbox": not (dark or blank or rolling) and measures.letterbox_share > rules.letterbox_share,
        "duplicate_frames": not (static or blank or slow) and measures.duplicate_share > rules.duplicate_share,
        "fast_pan": not slow and measures.pan_width_share > rules.fast_pan_share,
        "exposure_jump": not slow and measures.exposure_step > rules.exposure_step,
        "overlay": measures.overlay_share > rules.overlay_share,
    }
    return verdict_of(reason for reason, holds in found.items() if holds)


def clip_verdict(measures: ClipMeasures, rules: ClipRules, *, screen: Verdict | None = None, contract_errors: int = 0) -> Verdict:
    """Judge a labelled clip. An unknown measure (NaN) is no evidence against it.

    Args:
        screen: what its picture gave; its reasons count too.
        contract_errors: things in the labels that must not be (NaN in visible positions, checksums that differ, ...).
    """
    found = {
        "contract": contract_errors > 0,
        "few_tracks": measures.usable_tracks < rules.min_usable_tracks,
        "bad_tracks": measures.bad_probability_mean > rules.bad_probability,
        "low_survival": measures.survival_4 < rules.survival_4,
        "collapsed_tracks": measures.collapse_share > rules.collapse_share,
        "flicker": measures.flicker_mean > rules.flicker,
        "deaths_at_once": measures.deaths_max > rules.deaths,
        "low_coverage": measures.cover_entropy < rules.cover_entropy,
        "overlay_tracks": measures.stuck_share > rules.stuck_share,
        "mostly_dynamic": measures.dynamic_ratio > rules.dynamic_ratio,
    }
    return verdict_of([*(screen.reasons if screen else ()), *(reason for reason, holds in found.items() if holds)])


def _check_thresholds(values: dict[str, Any]) -> None:
    wrong = [f"{name}={value}" for name, value in values.items() if name != "version" and not value >= 0]
    if wrong or not values["version"]:
        raise ConfigError(f"rules of an audit: {', '.join(wrong) or 'no version'}; thresholds are numbers of 0 or more")
