"""The search for neighbours, and its budget."""

import pytest
import torch

from networks.trajvg import correlation
from networks.trajvg.correlation import gather_rows, nearest_neighbours


def test_by_hand():
    points = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [0, 3, 0], [0, 0, -2]]])
    found = nearest_neighbours(torch.tensor([[[0.1, 0, 0], [0, 2, 0]]]), points, k=3)
    assert found.tolist() == [[[0, 1, 3], [2, 0, 1]]]
    assert gather_rows(points, found)[0, 1].tolist() == [[0, 3, 0], [0, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize("budget_mb", [1e-9, 0.01, 0.1, 256.0])
def test_the_budget_changes_nothing(budget_mb):
    generator = torch.Generator().manual_seed(0)
    queries, points = torch.rand(3, 17, 3, generator=generator), torch.rand(3, 120, 3, generator=generator)
    exact = (queries[:, :, None].double() - points[:, None].double()).norm(dim=-1).argsort(dim=-1)[..., :8]
    assert nearest_neighbours(queries, points, k=8, budget_mb=budget_mb).tolist() == exact.tolist()


def test_no_block_of_distances_exceeds_the_budget(monkeypatch):
    sizes, cdist = [], torch.cdist

    def measured(queries, points, **options):
        sizes.append(len(queries) * queries.shape[1] * points.shape[1] * correlation._BYTES_PER_PAIR)
        return cdist(queries, points, **options)

    monkeypatch.setattr(torch, "cdist", measured)
    nearest_neighbours(torch.rand(5, 300, 3), torch.rand(5, 1000, 3), k=4, budget_mb=1.0)
    assert max(sizes) <= 2**20
    assert len(sizes) == 5 * 5  # 65 queries at a time


def test_near_ties_far_from_the_origin_keep_their_order():
    points = torch.tensor([[[1000.0, 0, 0.002], [1000, 0, 0.001], [1000, 0, 0.003]]])
    assert nearest_neighbours(torch.tensor([[[1000.0, 0, 0]]]), points, k=3).tolist() == [[[1, 0, 2]]]


def test_gradient_reaches_rows_alone():
    rows = torch.rand(1, 5, 3, requires_grad=True)
    index = nearest_neighbours(rows[:, :2], rows, k=2)
    assert not index.requires_grad
    gather_rows(rows, index).sum().backward()
    assert rows.grad.sum() == 2 * 2 * 3
