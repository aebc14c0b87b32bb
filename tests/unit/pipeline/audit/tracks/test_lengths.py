"""Lengths of vectors, by hand, and as numpy gives them to the last bit."""

import numpy as np

from pipeline.audit.tracks.inputs import lengths


def test_lengths_by_hand_and_the_vectors_stay():
    vectors = np.array([[[3.0, 4.0], [0.0, -2.0]], [[np.nan, 1.0], [0.0, 0.0]]])
    kept = vectors.copy()
    np.testing.assert_array_equal(lengths(vectors), [[5, 2], [np.nan, 0]])
    np.testing.assert_array_equal(vectors, kept)


def test_they_are_numpys_to_the_last_bit():
    vectors = np.random.default_rng(0).normal(0, 100, (50, 30, 2))
    np.testing.assert_array_equal(lengths(vectors), np.linalg.norm(vectors, axis=-1))
