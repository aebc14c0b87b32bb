"""Things that turn a clip into labels: tracks with visibility and confidence, also in space, depth, or flow."""

from labelers.protocol import Labeler, LabelerProvenance, kind_of
from labelers.queries import QueryPolicy, choose_queries
from labelers.registry import LABELERS, make_labeler

__all__ = ["LABELERS", "Labeler", "LabelerProvenance", "QueryPolicy", "choose_queries", "kind_of", "make_labeler"]
