"""The k nearest points, within a budget of memory."""

import torch
from torch import Tensor

_BYTES_PER_PAIR = 16  # a distance, and what choosing the smallest takes beside it


@torch.no_grad()
def nearest_neighbours(queries: Tensor, points: Tensor, *, k: int, budget_mb: float = 256.0) -> Tensor:
    """Indices of each query's k nearest points by Euclidean distance, nearest first; between equal ones the order is torch's.

    Distances are taken from differences, not from products, whose rounding would swap near ones.

    Args:
        queries: "S Q D", of S sets.
        points: "S P D", k <= P.
        budget_mb: working memory in MiB; one query's distances to one set are held at least.
    Returns: int64 "S Q k". No gradient.
    """
    num_sets, num_queries = queries.shape[:2]
    pairs = max(points.shape[1], int(budget_mb * 2**20 / _BYTES_PER_PAIR))
    sets_at_once = max(1, min(num_sets, pairs // max(1, num_queries * points.shape[1])))
    queries_at_once = max(1, min(num_queries, pairs // points.shape[1]))
    result = torch.empty(num_sets, num_queries, k, dtype=torch.int64, device=queries.device)
    for start in range(0, num_sets, sets_at_once):
        some = slice(start, start + sets_at_once)
        for first in range(0, num_queries, queries_at_once):
            part = slice(first, first + queries_at_once)
            distances = torch.cdist(queries[some, part], points[some], compute_mode="donot_use_mm_for_euclid_dist")
            result[some, part] = distances.topk(k, dim=-1, largest=False, sorted=True).indices
    return result


def gather_rows(rows: Tensor, index: Tensor) -> Tensor:
    """Rows "S P C" at indices "S Q k" to "S Q k C". Gradient flows to the rows."""
    flat = index.flatten(1)[..., None].expand(-1, -1, rows.shape[-1])
    return rows.gather(1, flat).unflatten(1, index.shape[1:])
