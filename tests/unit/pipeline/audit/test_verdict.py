"""All reasons are kept, the worst decides, and what is unknown is no evidence."""

from dataclasses import fields, replace

import pytest

from pipeline.audit.clips import ClipMeasures, VideoMeasures
from pipeline.audit.verdict import ClipRules, ScreenRules, Verdict, clip_verdict, screen_verdict, verdict_of
from pipeline.errors import ConfigError, DataError

NAN = float("nan")
UNKNOWN_VIDEO = VideoMeasures(**{**{each.name: NAN for each in fields(VideoMeasures)}, "num_frames": 8, "cut_frames": ()})
UNKNOWN_CLIP = ClipMeasures(**{**{each.name: NAN for each in fields(ClipMeasures)}, "num_tracks": 80, "usable_tracks": 64})


def screen_reasons(**measures: object) -> tuple[str, ...]:
    return screen_verdict(replace(UNKNOWN_VIDEO, **measures), ScreenRules()).reasons


def clip_reasons(**measures: object) -> tuple[str, ...]:
    return clip_verdict(replace(UNKNOWN_CLIP, **measures), ClipRules()).reasons


def test_what_is_unknown_is_no_evidence():
    assert screen_verdict(UNKNOWN_VIDEO, ScreenRules()) == Verdict(decision="keep")
    assert clip_verdict(UNKNOWN_CLIP, ClipRules()) == Verdict(decision="keep")


def test_the_worst_reason_decides_and_stands_first():
    verdict = verdict_of(["exposure_jump", "letterbox", "dark", "letterbox"])
    assert verdict == Verdict(decision="drop", reasons=("dark", "letterbox", "exposure_jump"))
    assert verdict_of(["dark", "unreadable"]).decision == "error"


def test_remarks_alone_keep_a_clip():
    assert verdict_of(["fixed_camera", "exposure_jump"]).decision == "keep"


@pytest.mark.parametrize(
    ("measures", "reasons"),
    [
        ({"luma_mean": 19.9}, ("dark",)),
        ({"luma_mean": 20.0}, ()),
        ({"dark_share": 0.91}, ("dark",)),
        ({"blank_share": 0.21}, ("blank",)),
        ({"blank_share": 0.2}, ()),
        ({"displacement_px": 0.49, "thumb_change_max": 3.0}, ("static",)),
        ({"displacement_px": 0.5, "thumb_change_max": 3.0}, ()),
        ({"displacement_px": 0.49, "thumb_change_max": 80.0}, ("fixed_camera",)),
        ({"letterbox_share": 0.24}, ("letterbox",)),
        ({"letterbox_share": 0.24, "luma_mean": 5.0}, ("dark",)),
        ({"duplicate_share": 0.5}, ("duplicate_frames",)),
        ({"duplicate_share": 1.0, "displacement_px": 0.0, "thumb_change_max": 0.0}, ("static",)),
        ({"cut_frames": (4,)}, ("cut_inside",)),
        ({"pan_width_share": 0.11}, ("fast_pan",)),
        ({"exposure_step": 0.26}, ("exposure_jump",)),
        ({"dark_share": 0.61, "text_vertical_std_px": 0.01, "text_vertical_px": 1.0, "text_horizontal_px": 0.08}, ("credits",)),
        ({"dark_share": 0.61, "text_vertical_std_px": 0.5, "text_vertical_px": 1.0, "text_horizontal_px": 0.08}, ()),
        ({"dark_share": 0.61, "text_vertical_std_px": 0.01, "text_vertical_px": 1.0, "text_horizontal_px": 0.3}, ()),
        ({"dark_share": 0.59, "text_vertical_std_px": 0.01, "text_vertical_px": 1.0, "text_horizontal_px": 0.08}, ()),
    ],
)
def test_each_threshold_of_the_screen(measures, reasons):
    assert screen_reasons(**measures) == reasons


@pytest.mark.parametrize("jumpy", [{"cut_frames": (4,)}, {"pan_width_share": 0.11}, {"duplicate_share": 0.5}, {"exposure_step": 0.26}])
def test_neighbouring_frames_are_judged_at_usual_rates_only(jumpy):
    at_rate = {fps: screen_reasons(**jumpy, fps=fps) for fps in (NAN, 30.0, 5.0, 4.9, 1.0)}
    assert at_rate[NAN] == at_rate[30.0] == at_rate[5.0]
    assert len(at_rate[30.0]) == 1
    assert at_rate[4.9] == at_rate[1.0] == ("low_frame_rate", *(["cut_uncertain"] if "cut_frames" in jumpy else []))


def test_credits_at_a_high_rate_roll_less_per_frame():
    rolling = {"dark_share": 0.7, "text_vertical_std_px": 0.01, "text_horizontal_px": 0.09}
    assert screen_reasons(**rolling, text_vertical_px=0.26, fps=60.0) == ("credits",)
    assert screen_reasons(**rolling, text_vertical_px=0.26, fps=30.0) == screen_reasons(**rolling, text_vertical_px=0.26) == ()
    assert screen_reasons(**rolling, text_vertical_px=0.51, fps=10.0) == ("credits",)
    assert screen_reasons(**{**rolling, "text_horizontal_px": 0.11}, text_vertical_px=0.26, fps=60.0) == ()


def test_a_low_rate_is_a_remark_and_excuses_nothing_else():
    assert screen_verdict(replace(UNKNOWN_VIDEO, fps=1.0, cut_frames=(3,)), ScreenRules()).decision == "keep"
    assert screen_reasons(fps=1.0, luma_mean=5.0) == ("dark", "low_frame_rate")
    assert screen_reasons(fps=1.0, displacement_px=0.0, thumb_change_max=0.0) == ("static", "low_frame_rate")


@pytest.mark.parametrize(
    ("measures", "reasons"),
    [
        ({"usable_tracks": 63}, ("few_tracks",)),
        ({"bad_probability_mean": 0.36}, ("bad_tracks",)),
        ({"survival_4": 0.59}, ("low_survival",)),
        ({"collapse_share": 0.06}, ("collapsed_tracks",)),
        ({"flicker_mean": 0.21}, ("flicker",)),
        ({"deaths_max": 0.41}, ("deaths_at_once",)),
        ({"cover_entropy": 0.59}, ("low_coverage",)),
        ({"stuck_share": 0.06}, ("overlay_tracks",)),
        ({"dynamic_ratio": 0.71}, ("mostly_dynamic",)),
        ({"survival_4": 0.6, "flicker_mean": 0.2, "cover_entropy": 0.6}, ()),
    ],
)
def test_each_threshold_of_a_labelled_clip(measures, reasons):
    assert clip_reasons(**measures) == reasons


def test_the_screens_reasons_and_broken_contracts_count_for_a_labelled_clip():
    screen = verdict_of(["letterbox"])
    verdict = clip_verdict(replace(UNKNOWN_CLIP, usable_tracks=3), ClipRules(), screen=screen, contract_errors=2)
    assert verdict == Verdict(decision="error", reasons=("contract", "few_tracks", "letterbox"))


def test_impossible_verdicts_and_rules_are_refused():
    with pytest.raises(DataError, match="no such"):
        Verdict(decision="keep", reasons=("ugly",))
    with pytest.raises(DataError, match="expected 'drop'"):
        Verdict(decision="keep", reasons=("dark",))
    with pytest.raises(ConfigError, match="dark_luma"):
        ScreenRules(dark_luma=NAN)
    with pytest.raises(ConfigError, match="version"):
        ClipRules(version="")
