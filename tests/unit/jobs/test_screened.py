"""What the screen dropped is left out; a screen that is not whole, or of other videos, is refused before anything is labelled."""

from dataclasses import replace

import pytest

from jobs.labeling.screened import DroppedClips, check_screened, obeyed_screen
from pipeline.audit.stored.screen import ScreenRow, claim_rules, write_screen
from pipeline.audit.verdict import ScreenRules, verdict_of
from pipeline.errors import ConfigError
from pipeline.records import ClipRecord
from pipeline.shards.index import ClipEntry, write_index

REASONS = {"a-w0": [], "b-w0": ["static", "overlay"], "c-w0": ["letterbox"], "d-w0": ["dark", "static"]}


def entry(key: str, frames: int = 10) -> ClipEntry:
    record = ClipRecord(
        key=key,
        source="v.mp4",
        source_id="v",
        split="train",
        start_s=0.0,
        end_s=frames / 10,
        fps=10.0,
        frames=frames,
        width=64,
        height=48,
        codec="h264",
        video="h264",
        sha256=f"sha of {key}",
        timestamps=tuple(t / 10 for t in range(frames)),
    )
    return ClipEntry(key=key, sample_key=key, tar="000000.tar", source="v.mp4", source_id="v", split="train", record=record)


def rows() -> list[ScreenRow]:
    return [ScreenRow(key=key, verdict=verdict_of(why), rules="r", clip_sha256=f"sha of {key}") for key, why in REASONS.items()]


@pytest.fixture
def root(tmp_path) -> str:
    """Two shards of four clips each, the first of them screened; and a clip that was not cut."""
    uncut = replace(entry("e-w0"), record=None)
    write_index(str(tmp_path), 0, [*(entry(key, frames=10 + place) for place, key in enumerate(REASONS)), uncut])
    write_index(str(tmp_path), 1, [entry(key) for key in REASONS])
    claim_rules(str(tmp_path), ScreenRules())
    write_screen(str(tmp_path), 0, [*rows(), ScreenRow(key="e-w0", verdict=verdict_of(["not_cut"]), rules="r", error="not cut")])
    return str(tmp_path)


def test_dropped_clips_are_counted_with_their_frames_and_reasons(root):
    found = check_screened(root, [0])
    assert (found.clips, found.frames, found.clips_dropped, found.frames_dropped) == (5, 46, 2, 24)
    assert found.reasons == (("static", 2), ("dark", 1), ("overlay", 1))
    assert str(found) == "2 of 5 clips left out (2 static, 1 dark, 1 overlay): 24 of 46 frames (52.2%)"
    assert str(replace(found, clips_dropped=0)) == "it dropped none of 5 clips"
    write_screen(root, 1, rows())
    both = check_screened(root, [0, 1])
    assert (both.clips, both.frames_dropped, dict(both.reasons)["static"]) == (9, 44, 4)


def test_only_what_was_dropped_is_left_out(root):
    dropped = DroppedClips(root)
    assert dropped.reason(0, "b-w0") == "dropped by the screen: static, overlay"
    assert [dropped.reason(0, key) for key in ("a-w0", "c-w0", "e-w0")] == [None, None, None]


def test_a_shard_that_is_not_screened_is_refused(root):
    with pytest.raises(ConfigError, match=r"1 of 2 shards to label not screened yet, the first is 000001.*audit.py screen --root"):
        check_screened(root, [0, 1])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ([replace(rows()[0], clip_sha256="another"), *rows()[1:]], "clip a-w0 is of another video now.*delete this file"),
        (rows()[1:], "clip a-w0 is not in it"),
    ],
)
def test_a_screen_of_other_videos_is_refused(root, wrong, says):
    write_screen(root, 1, wrong)
    with pytest.raises(ConfigError, match=says):
        check_screened(root, [1])


def test_the_identity_is_that_of_the_rules(root, tmp_path):
    identity = obeyed_screen(root, "obey")
    assert len(identity) == 16
    assert int(identity, 16) >= 0
    assert obeyed_screen(root, "ignore") is None
    assert obeyed_screen(str(tmp_path / "elsewhere"), "obey") is None
    claim_rules(str(tmp_path / "other"), ScreenRules(allow_static=True))
    assert obeyed_screen(str(tmp_path / "other"), "obey") != identity
    claim_rules(str(tmp_path / "same"), ScreenRules())
    assert obeyed_screen(str(tmp_path / "same"), "obey") == identity
