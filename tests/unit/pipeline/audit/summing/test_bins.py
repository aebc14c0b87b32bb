"""The bins: ascending, twenty, one set for each measure that there is, and every known value in one of them."""

import numpy as np
import pytest

from pipeline.audit.summing.sums import CLIP_HISTOGRAMS, NUM_BINS, TRACK_HISTOGRAMS, bin_counts, measure_edges


@pytest.mark.parametrize("name", [*TRACK_HISTOGRAMS, *CLIP_HISTOGRAMS])
def test_edges_ascend(name):
    edges = measure_edges(name)
    assert len(edges) == NUM_BINS + 1
    assert (np.diff(edges) > 0).all()


def test_names_are_told_apart():
    names = [*TRACK_HISTOGRAMS, *CLIP_HISTOGRAMS]
    assert len(set(names)) == len(names)


def test_values_fall_into_their_bins():
    edges = (0.0, 1.0, 2.0, 4.0)
    values = np.array([-7.0, 0.5, 1.0, 1.999, 2.0, 4.0, np.inf, np.nan, -np.inf], np.float32)
    assert bin_counts(values, edges).tolist() == [3, 2, 3]


def test_likeness_distance_and_share_have_bins_of_their_kind():
    assert measure_edges("ncc_mean")[0] == -1.0
    assert measure_edges("fb_cycle")[-1] == 80.0
    assert measure_edges("weight")[::10] == (0.0, 0.5, 1.0)
