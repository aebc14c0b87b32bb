"""What the network is told of a chain."""

import numpy as np

from labelers.chain_trace import TracedLabels
from networks.chain_refiner import CLUES


def clues_of(traced: TracedLabels, *, unit_px: float = 1.0) -> np.ndarray:
    """What a chain says of itself, float16 "T N CLUES", each about 0 to 2.

    Args:
        unit_px: pixels of the frames that were chained to one of those that the network sees.
    """
    trace = traced.trace
    since = np.arange(len(trace.strain))[:, None] - trace.query_frame
    parts = [
        trace.hidden_frames == 0,
        np.log1p(trace.strain),
        np.log1p(trace.link_strain),
        np.log1p(trace.missed_px / np.float32(unit_px)),
        np.log1p(trace.num_links) / 3,
        np.log1p(trace.since_direct) / 3,
        np.log1p(trace.hidden_frames) / 3,
        since == 0,
        np.abs(since) == 1,
    ]
    found = np.stack([part.astype(np.float32) for part in parts], axis=-1)
    assert found.shape[-1] == CLUES, "the network has as many inputs"
    return np.minimum(found, 10).astype(np.float16)
