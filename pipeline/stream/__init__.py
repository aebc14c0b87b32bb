"""The stream that training reads: clips joined with labels, in one resumable order. Needs neither Ray, torch nor the labelers."""

from pipeline.stream.audits import label_sets_of
from pipeline.stream.clip_stream import ClipStream
from pipeline.stream.config import StreamConfig
from pipeline.stream.join import join_labels
from pipeline.stream.mixture import MixtureConfig, MixtureStream

__all__ = ["ClipStream", "MixtureConfig", "MixtureStream", "StreamConfig", "join_labels", "label_sets_of"]
