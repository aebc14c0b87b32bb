from itertools import islice

import numpy as np
import pytest

from pipeline.stream.part_order import PartOrder


@pytest.mark.parametrize("weights", [(0.3, 0.3, 0.4), (1.0,), (0.02, 0.98), (5.0, 1.0, 1.0, 3.0)])
@pytest.mark.parametrize("seed", [0, 7])
def test_shares_hold_within_one_percent_over_every_stretch_of_two_thousand(weights, seed):
    order = PartOrder(weights=weights, seed=seed)
    wanted = np.array(weights) / sum(weights)
    for first in (0, 1, 333, 10**9):
        found = np.bincount(order.parts(first, first + 2000), minlength=len(weights)) / 2000
        np.testing.assert_allclose(found, wanted, atol=0.01)


def test_shares_hold_for_the_readers_of_every_world_size():
    order = PartOrder(weights=(0.3, 0.3, 0.4), seed=0)
    parts = order.parts(0, 64 * 2000)
    for world_size in (2, 5, 8, 13, 21, 34, 64):
        share = parts[3 % world_size :: world_size]
        np.testing.assert_allclose(np.bincount(share) / len(share), [0.3, 0.3, 0.4], atol=0.02)
        runs = np.diff(np.flatnonzero(np.diff(share)))
        assert runs.max() < 20, "no reader gets one dataset for long"


def test_a_place_has_one_part_however_it_is_reached():
    order = PartOrder(weights=(1.0, 2.0), seed=3)
    whole = order.parts(0, 700)
    assert list(islice(order.parts_from(250), 300)) == whole[250:550].tolist()
    np.testing.assert_array_equal(order.parts(130, 131), whole[130:131])
    assert order.parts(5, 5).tolist() == []


def test_another_seed_is_another_order():
    assert not np.array_equal(PartOrder(weights=(1.0, 1.0), seed=0).parts(0, 200), PartOrder(weights=(1.0, 1.0), seed=1).parts(0, 200))


def test_only_the_ratio_of_weights_counts():
    whole, shares = (PartOrder(weights=weights, seed=0).parts(0, 500) for weights in ((1.0, 3.0), (0.25, 0.75)))
    np.testing.assert_array_equal(whole, shares)


def test_the_order_is_the_same_for_ever():
    assert "".join(map(str, PartOrder(weights=(0.3, 0.3, 0.4), seed=0).parts(0, 40))) == "0122101122200012010220201010202221212221"
