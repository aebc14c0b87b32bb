import numpy as np
import pytest

from labelers import QueryPolicy, choose_queries
from pipeline.errors import ConfigError, DataError
from pipeline.records import ClipFrames, FramesInMemory

POLICIES = ("grid", "random", "corners", "sift")


def noisy_clip(num_frames=10, size=(48, 80)) -> FramesInMemory:
    return FramesInMemory(np.random.default_rng(1).integers(0, 255, (num_frames, *size, 3)).astype(np.uint8))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("count", "num_frames"), [(0, 1), (1, 1), (5, 3), (100, 1), (100, 4), (2, 4)])
def test_every_policy_gives_exactly_the_number_asked_inside_the_image(policy, count, num_frames):
    reader = noisy_clip()
    queries = choose_queries(reader, QueryPolicy(policy=policy, num_queries=count, num_query_frames=num_frames), key="a")
    assert queries.shape == (count, 3)
    ClipFrames(key="a", reader=reader, queries=queries)  # refuses what lies outside


@pytest.mark.parametrize("policy", ["corners", "sift"])
def test_a_flat_image_is_filled_up_with_random_points(policy):
    flat = FramesInMemory(np.full((3, 40, 40, 3), 77, np.uint8))
    queries = choose_queries(flat, QueryPolicy(policy=policy, num_queries=64), key="a")
    assert len(np.unique(queries, axis=0)) == 64


def test_more_corners_than_the_image_has_pixels_are_filled_up_too():
    assert len(choose_queries(noisy_clip(size=(4, 4)), QueryPolicy(policy="corners", num_queries=50), key="a")) == 50


@pytest.mark.parametrize("policy", ["random", "corners", "sift"])
def test_the_same_key_gives_the_same_points_and_another_key_others(policy):
    first, again, other = (choose_queries(noisy_clip(), QueryPolicy(policy=policy, num_queries=20), key=key) for key in ("a", "a", "b"))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_random_points_are_the_same_for_ever():
    queries = choose_queries(noisy_clip(), QueryPolicy(policy="random", num_queries=2, num_query_frames=1), key="bear-0123abcd-w0000")
    np.testing.assert_allclose(queries, [[0, 9.573201, 17.546768], [0, 12.51025, 18.420187]], atol=1e-4)


def test_query_frames_are_spread_over_the_clip_and_share_the_points():
    queries = choose_queries(noisy_clip(num_frames=12), QueryPolicy(policy="random", num_queries=10, num_query_frames=4), key="a")
    frames, counts = np.unique(queries[:, 0], return_counts=True)
    np.testing.assert_array_equal(frames, [0, 3, 6, 9])
    assert sorted(counts) == [2, 2, 3, 3]
    assert (np.diff(queries[:, 0]) >= 0).all()
    drawn = [queries[queries[:, 0] == t, 1:] for t in (0, 3)]
    assert not np.array_equal(drawn[0][:2], drawn[1][:2])


def test_by_default_the_points_begin_in_four_frames_of_a_clip():
    queries = choose_queries(noisy_clip(num_frames=48), QueryPolicy(num_queries=10), key="a")
    assert queries[:, 0].tolist() == [0, 0, 12, 12, 12, 24, 24, 36, 36, 36]
    assert QueryPolicy(num_queries=10) == QueryPolicy(num_queries=10, num_query_frames=4)


def test_a_clip_with_fewer_frames_than_asked_uses_each_of_them():
    queries = choose_queries(noisy_clip(num_frames=3), QueryPolicy(num_queries=6, num_query_frames=8), key="a")
    np.testing.assert_array_equal(queries[:, 0], [0, 0, 1, 1, 2, 2])


@pytest.mark.parametrize("policy", POLICIES)
def test_the_margin_is_a_share_of_the_shorter_side(policy):
    queries = choose_queries(noisy_clip(), QueryPolicy(policy=policy, num_queries=60, margin=0.25), key="a")
    _, x, y = queries.T  # 12 px of 48
    assert x.min() >= 11.5
    assert x.max() <= 67.5
    assert y.min() >= 11.5
    assert y.max() <= 35.5


def test_corners_look_at_their_own_query_frame():
    frames = np.full((4, 40, 80, 3), 90, np.uint8)
    noise = np.random.default_rng(0).integers(0, 255, (40, 30, 1))
    frames[:2, :, :30], frames[2:, :, 50:] = noise, noise
    queries = choose_queries(FramesInMemory(frames), QueryPolicy(policy="corners", num_queries=12, num_query_frames=2), key="a")
    assert (queries[:6, 1] < 35).all()
    assert (queries[6:, 1] > 45).all()


@pytest.mark.parametrize(("policy", "read"), [("grid", 0), ("random", 0), ("corners", 6)])
def test_no_more_frames_are_read_than_needed(policy, read):
    clip, seen = noisy_clip(), []

    class Watched:
        shape = clip.shape

        def __iter__(self):
            for frame in clip.frames:
                seen.append(1)
                yield frame

    choose_queries(Watched(), QueryPolicy(policy=policy, num_queries=8, num_query_frames=2), key="a")
    assert len(seen) == read


def test_frames_that_end_before_the_query_frame_are_an_error():
    class Short:
        shape = (10, 48, 80)

        def __iter__(self):
            return iter(noisy_clip(num_frames=3).frames)

    with pytest.raises(DataError, match="clip a: frame 5 is missing"):
        choose_queries(Short(), QueryPolicy(policy="sift", num_query_frames=2), key="a")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("policy", "corner", "query policy is 'corner', expected one of grid, random, corners, sift"),
        ("num_queries", -1, "num_queries is -1, expected a whole number"),
        ("num_query_frames", 0, "num_query_frames is 0"),
        ("margin", 0.5, "margin is 0.5, expected a number from 0 to 0.45"),
    ],
)
def test_wrong_values_are_refused_by_name(field, value, message):
    with pytest.raises(ConfigError, match=message):
        QueryPolicy(**{field: value})
