"""From the tracks' measures and weights to what a clip's verdict looks at."""

import numpy as np

from pipeline.audit.clips.labels import TrackEvidence
from pipeline.audit.records import TrackMeasures, TrackWeights


def track_evidence(measures: TrackMeasures, weights: TrackWeights) -> TrackEvidence:
    """The six values of each track that count for its clip. Without a calibration nothing is said of bad tracks."""
    return TrackEvidence(
        bad_probability=weights.bad_probability,
        cycle_px=measures.fb_cycle,
        flicker=measures.flicker,
        collapsed=weights.collapsed.astype(np.float32),
        stuck=measures.static_stick,
        static_score=measures.static_score,
    )
