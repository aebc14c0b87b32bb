"""Words of the report: numbers with their units, what each measure means, and each reason of a verdict as a sentence."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.records.labels import QUERY_FRAMES

_PX = "pixels of a 256 × 256 raster"


def counted(number: int, noun: str, nouns: str | None = None) -> str:
    """`1 clip`, `1,234 clips`."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def grouped(number: int) -> str:
    """`1,234`."""
    return f"{number:,}"


def percent(part: float, whole: float) -> str:
    """`12.5 %`; a dash of nothing."""
    return percentage(part / whole) if whole else "–"


def percentage(share: float) -> str:
    """A share as `12.5 %`, with a digit more below one percent; what is not known as a dash."""
    if not math.isfinite(share):
        return "–"
    value = 100 * share
    return f"{value:.0f} %" if value in (0, 100) else f"{value:.2f} %" if abs(value) < 1 else f"{value:.1f} %"


def counted_share(part: int, whole: int) -> str:
    """`25 (12.5 %)`: a percentage never stands without its count."""
    return f"{part:,} ({percent(part, whole)})"


def duration(seconds: float) -> str:
    """`12.3 s`, `4.5 min`, `6.7 h`."""
    if not math.isfinite(seconds):
        return "–"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def figure(value: float, digits: int = 3) -> str:
    """A number to so many significant digits, without an exponent; what is not known as a dash."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{min(places, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def large(number: int) -> str:
    """`1,234`, `12.3 million`, `4.5 billion`."""
    for size, name in ((1_000_000_000, "billion"), (1_000_000, "million")):
        if number >= size:
            return f"{number / size:.1f} {name}"
    return f"{number:,}"


def size(num_bytes: int) -> str:
    """`12.3 kB`, `4.5 MB`."""
    return f"{num_bytes / 1e6:.1f} MB" if num_bytes >= 1e6 else f"{num_bytes / 1e3:.1f} kB"


@dataclass(frozen=True, slots=True)
class MeasureText:
    """Wording of a measure in the report."""

    title: str
    sentence: str
    unit: str = ""


TRACK_TEXTS: dict[str, MeasureText] = {
    "weight": MeasureText("Weight", "How much the track counts in training: 1 is full trust, 0 leaves it out."),
    "bad_probability": MeasureText("Probability of being bad", "The calibration's estimate, from all measures together."),
    "fb_cycle": MeasureText(
        "Forward-backward error",
        "Followed to its end and back again, the track should return to its query; this is by how much it misses.",
        _PX,
    ),
    "fb_all": MeasureText("Forward-backward distance", "Mean distance between the forward and the backward path.", _PX),
    "fb_agree": MeasureText("Forward-backward visibility", "Share of frames in which both paths agree whether the point is visible."),
    "ncc_min": MeasureText(
        "Lowest similarity", "Similarity of the patch around the point to the query's patch, where it is lowest; 1 is equal."
    ),
    "ncc_mean": MeasureText(
        "Mean similarity", "Similarity of the patch around the point to the query's patch, over visible frames; 1 is equal."
    ),
    "ncc_step_min": MeasureText(
        "Similarity to the frame before", "Lowest similarity of the patch to the same track's patch one frame earlier; 1 is equal."
    ),
    "colour_drift": MeasureText("Colour drift", "Distance of the colour under the point from the colour at the query.", "grey levels"),
    "realign_mean": MeasureText("Drift", "How far the track drifts from where a new search of each of its steps leads, on average.", _PX),
    "realign_max": MeasureText("Drift, worst", "The same drift in the frame where it is largest.", _PX),
    "realign_long_mean": MeasureText("Drift in long steps", "As drift, but over steps of four frames, on average.", _PX),
    "realign_long_max": MeasureText("Drift in long steps, worst", "As drift in long steps, in the frame where it is largest.", _PX),
    "flow_drift_mean": MeasureText("Drift from the flow", "How far the track drifts from dense optical flow, on average.", _PX),
    "flow_drift_max": MeasureText("Drift from the flow, worst", "The same drift in the frame where it is largest.", _PX),
    "border_min": MeasureText("Nearness of the border", "How near the track comes to the picture's border, where patches are cut.", _PX),
    "texture": MeasureText("Texture", "How much image structure there is at the query; near 0 on a blank wall."),
    "flicker": MeasureText("Flicker", "Changes between visible and invisible per step; a real point seldom appears and disappears."),
    "vis_conf": MeasureText("Own confidence", "The labeler's own confidence where it calls the point visible."),
    "accel_max": MeasureText(
        "Largest acceleration", "Largest change of velocity, without the camera's, divided by 1 + the clip's median step."
    ),
    "jump": MeasureText("Jump", "The largest step, in units of the spread of the track's steps."),
    "neigh_max": MeasureText("Unlike its neighbours", "Largest deviation of the motion from that of the nearest tracks.", _PX),
    "disagree_median": MeasureText("Second opinion, median", "Distance from the same query followed by another labeler.", _PX),
    "disagree_max": MeasureText("Second opinion, worst", "Largest distance from the same query followed by another labeler.", _PX),
    "visible_iou": MeasureText(
        "Second opinion on visibility", "Frames that both labelers call visible, as a share of those that either does."
    ),
    "agree_aj": MeasureText("Agreement", "Average Jaccard between the two labelers; 1 is full agreement."),
    "sampson_med": MeasureText("Off the epipolar geometry", "Median distance from the epipolar line of a rigid scene.", _PX),
    "homog_med": MeasureText("Off the plane", "Median distance from the position that a flat or distant scene would give.", _PX),
    "len": MeasureText("Visible frames", "Frames in which the point is called visible.", "frames"),
    "cover": MeasureText("Visible share", "Visible frames as a share of the clip."),
    "longest_run": MeasureText("Longest visible run", "Longest stretch without a gap, as a share of the clip."),
    "oof": MeasureText("Visible outside the picture", "Share of visible frames outside the picture; above 0 the weight is 0."),
    "collapse": MeasureText("Merged", "1 if the track runs into another track that began elsewhere."),
    "static_stick": MeasureText(
        "Stuck to the screen", "1 if the point stays fixed on the screen while its surroundings move, like a logo."
    ),
    "static_score": MeasureText(
        "Static in the world", "From 0.5 on, the point moves as a rigid scene would; losses that need a static scene use it."
    ),
}

CLIP_TEXTS: dict[str, MeasureText] = {
    "num_tracks": MeasureText("Tracks", "Tracks of a clip.", "tracks"),
    "usable_tracks": MeasureText("Usable tracks", "Tracks visible in 8 frames or more (in all of a shorter clip).", "tracks"),
    "mean_length": MeasureText("Mean length", "Visible frames of a track, on average.", "frames"),
    "visible_share": MeasureText("Visible points", "Share of all points that are called visible."),
    "cover_entropy": MeasureText(
        "Spread over the picture", "How evenly the points cover the picture: 1 everywhere alike, 0 all in one place."
    ),
    "deaths_max": MeasureText("Ending together", "Largest share of the visible tracks that end in the same frame, as at a cut."),
    "bad_probability_mean": MeasureText("Mean probability of being bad", "The calibration's estimate, averaged over the clip's tracks."),
    "survival_4": MeasureText("Survival", "Share of tracks that return to within 4 px of their query."),
    "flicker_mean": MeasureText("Mean flicker", "Changes of visibility per step, over the clip's tracks."),
    "collapse_share": MeasureText("Merged tracks", "Share of tracks that run into a better one."),
    "stuck_share": MeasureText("Stuck tracks", "Share of tracks that stay fixed on the screen while their surroundings move."),
    "dynamic_ratio": MeasureText("Dynamic tracks", "Share of dynamic tracks among those known to be static or dynamic."),
}


def measure_text(name: str) -> MeasureText:
    """The words for a measure of tracks or clips; one that has none yet stands under its own name."""
    return TRACK_TEXTS.get(name) or CLIP_TEXTS.get(name) or MeasureText(name.replace("_", " "), "Not described here.")


REASON_SENTENCES: dict[str, str] = {
    "dark": "The picture is dark.",
    "blank": "Many frames show nothing.",
    "credits": "Credits: text rolls over a dark background.",
    "static": "Nothing moves.",
    "cut_inside": "The scene changes inside the clip.",
    "tombstoned": "A take-down request covers the clip.",
    "screened": "Not labelled, because the screen of the video had dropped it.",
    "few_tracks": "Too few tracks are long enough to learn from.",
    "letterbox": "Black bars frame the picture.",
    "duplicate_frames": "Frames are repeated.",
    "fast_pan": "The camera pans too fast.",
    "bad_tracks": "Too many tracks are probably bad.",
    "low_survival": "Too few tracks return to their query when followed back.",
    "collapsed_tracks": "Too many tracks run into one another.",
    "flicker": "Points flicker between visible and hidden.",
    "deaths_at_once": "Many tracks end in the same frame, as at a cut.",
    "low_coverage": "The points cover too little of the picture.",
    "overlay_tracks": "Too many points stick to the screen, as on a logo.",
    "not_cut": "The clip could not be cut from its source.",
    "unreadable": "The clip cannot be read.",
    "contract": "The labels break the rules of their format, or belong to another video.",
    "label_failed": "The labeler failed on the clip.",
    "label_quarantined": "The labeler crashed on the clip, or took too long, more often than allowed.",
    "unlabelled": "The clip has no labels.",
    "static_allowed": "Nothing moves, which the screen was told to allow.",
    "fixed_camera": "The camera stands still.",
    "low_frame_rate": "The clip has so few frames per second that some checks of the video were left out.",
    "cut_uncertain": "The scene may change inside the clip; at so few frames per second it cannot be told from motion.",
    "exposure_jump": "The brightness jumps.",
    "overlay": "Something stays fixed on the screen, such as a logo.",
    "mostly_dynamic": "Most points move by themselves: leave the clip out of losses on the camera.",
}


def reason_sentence(reason: str) -> str:
    """The reason in words; one that has no sentence yet, by its name."""
    return REASON_SENTENCES.get(reason, f"{reason.replace('_', ' ').capitalize()}.")


def reason_remedy(reason: str, queries: Mapping[str, Any]) -> str:
    """Option of jobs/pseudolabel.py that helps against a reason; "" where none is known.

    Args:
        queries: the query policy that the label set records; empty where it is not known.
    """
    frames, count = queries.get("num_query_frames"), queries.get("num_queries")
    if reason != "low_coverage" or queries.get("policy") == "truth" or not isinstance(frames, int) or not isinstance(count, int):
        return ""
    if frames < QUERY_FRAMES:
        return f"label again with --query-frames {QUERY_FRAMES}: these tracks begin in {counted(frames, 'frame')} of a clip"
    return f"label again with --queries {2 * count}: these clips have {counted(count, 'track')}"
