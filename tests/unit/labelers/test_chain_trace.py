"""How a chain reached its points: worked by hand, and without a trace in the labels."""

import numpy as np

from labelers import make_labeler
from labelers.chain import LinkRule, RoundTripRule, Step, follow
from labelers.chain_trace import ChainTrace

RULE = RoundTripRule(share=0)


class Resting:
    """Points rest; a link misses its start by what is said of its two frames, else not at all, along x."""

    def __init__(self, misses, num_frames=6):
        self.misses, self.shape = misses, (num_frames, 100, 200)

    def step(self, start, end, points):
        returned = points + np.float32([self.misses.get((start, end), 0.0), 0])
        return Step(moved_px=points.copy(), returned_px=returned, found=np.ones(len(points), bool))


def traced(misses, lengths, *queries):
    asked = np.array(queries, np.float32)
    trace = ChainTrace.at_queries(asked, 6)
    labels = follow(Resting(misses), asked, RULE, LinkRule(lengths=lengths), on_link=trace.add)
    return labels, trace


def test_a_plain_chain_counts_its_links_and_sums_their_strain() -> None:
    labels, trace = traced({(0, 1): 0.5, (1, 2): 0.2}, (1,), (0, 50, 50))
    np.testing.assert_array_equal(trace.num_links[:, 0], [0, 1, 2, 3, 4, 5])
    np.testing.assert_array_equal(trace.since_direct[:, 0], [0, 0, 1, 2, 3, 4])
    np.testing.assert_allclose(trace.missed_px[:4, 0], [0, 0.5, 0.2, 0], atol=1e-5)
    np.testing.assert_allclose(trace.link_strain[:4, 0], [0, 0.25, 0.04, 0], atol=1e-5)
    np.testing.assert_allclose(trace.strain[:, 0], [0, 0.25, 0.29, 0.29, 0.29, 0.29], atol=1e-5)
    np.testing.assert_allclose(labels.confidence, np.exp(-trace.strain / 0.5), rtol=1e-5)
    assert not trace.hidden_frames.any()


def test_a_long_link_past_hidden_frames_takes_the_place_of_the_link_that_failed() -> None:
    blocked = {(start, hidden): 5.0 for hidden in (2, 3) for start in range(6)}
    blocked |= {(hidden, end): 5.0 for hidden in (2, 3) for end in range(6)}
    labels, trace = traced(blocked, (1, 2, 4), (0, 50, 50))
    np.testing.assert_array_equal(trace.hidden_frames[:, 0], [0, 0, 1, 2, 0, 0])
    np.testing.assert_array_equal(labels.visibility, trace.hidden_frames == 0)
    np.testing.assert_array_equal(trace.num_links[[1, 4, 5], 0], [1, 1, 2])  # frame 4 straight from the query, frame 5 from frame 4 or 1
    assert trace.since_direct[4, 0] == 0
    np.testing.assert_allclose(trace.missed_px[[4, 5], 0], 0, atol=1e-5)


def test_frames_before_the_query_are_traced_backwards() -> None:
    _, trace = traced({}, (1,), (3, 50, 50), (5, 20, 20))
    np.testing.assert_array_equal(trace.num_links.T, [[3, 2, 1, 0, 1, 2], [5, 4, 3, 2, 1, 0]])
    np.testing.assert_array_equal(trace.since_direct.T, [[2, 1, 0, 0, 0, 1], [4, 3, 2, 1, 0, 0]])


def test_a_trace_changes_no_bit_of_the_labels(passing_bar) -> None:
    clip = passing_bar([(0, 64, 48), (17, 64, 48), (9, 20, 20)])
    for options in ({}, {"jumps": [1, 2, 4, 8]}, {"jumps": [1, 2, 4, 8], "strain_limit": 0.1}):
        labeler = make_labeler("dis-flow", **options)
        plain, found = labeler.label([clip])[0], labeler.trace(clip)
        for field in ("queries", "tracks_px", "visibility", "confidence"):
            np.testing.assert_array_equal(getattr(found.labels, field), getattr(plain, field))
        reached = found.trace.hidden_frames == 0
        limit = labeler.strain_limit
        np.testing.assert_array_equal(plain.visibility, reached if limit is None else reached & (found.trace.strain <= limit))
