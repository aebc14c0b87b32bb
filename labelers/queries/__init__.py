"""Where the points to follow come from."""

from labelers.queries.choose import QueryPolicy, choose_queries
from labelers.queries.draw import generator_for

__all__ = ["QueryPolicy", "choose_queries", "generator_for"]
