"""Names and splits are pure functions of the source."""

import re
from collections import Counter

import pytest

from pipeline.shards.policy import clip_key, slug, split_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("walk", "walk"),
        ("a b.c", "a-b-c"),
        ("Straße café", "Strae-cafe"),
        ("日本", "video"),
        ("x" * 99, "x" * 48),
        ("_FP8j6WfkTY", "_FP8j6WfkTY"),
        ("..", "video"),
    ],
)
def test_a_slug_holds_only_what_every_tool_accepts(text, expected):
    assert slug(text) == expected


def test_a_key_has_slug_hash_and_number():
    key = clip_key("день 1/my.video one.mp4", 7)
    assert re.fullmatch(r"my-video-one-[0-9a-f]{8}-w0007", key)


def test_files_of_one_name_in_two_folders_get_two_keys():
    assert clip_key("a/x.mp4", 0) != clip_key("b/x.mp4", 0)
    assert clip_key("x.mp4", 0) != clip_key("x.mkv", 0)


def test_splits_follow_their_shares_and_never_move():
    shares = {"train": 0.8, "val": 0.15, "test": 0.05}
    counts = Counter(split_of(f"video {index}", shares) for index in range(20_000))
    assert counts["train"] / 20_000 == pytest.approx(0.8, abs=0.02)
    assert counts["val"] / 20_000 == pytest.approx(0.15, abs=0.02)
    assert split_of("abc", {"train": 0.0, "val": 0.0, "test": 1.0}) == "test"
    grown = {"train": 0.8, "val": 0.2}  # the first shares keep what they had
    assert all(split_of(f"v{index}", grown) == "train" for index in range(500) if split_of(f"v{index}", shares) == "train")
