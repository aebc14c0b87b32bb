"""The nearest rotation and its gradient."""

import pytest
import torch

from networks.pi3.heads import ClosestRotation, rows_to_rotation


def by_autograd(matrix: torch.Tensor) -> torch.Tensor:
    """The public formula, differentiated through the SVD."""
    u, _, vh = torch.linalg.svd(matrix.mT)
    signs = torch.ones(matrix.shape[:-1], dtype=matrix.dtype)
    signs[..., 2] = torch.linalg.det(vh.mT @ u.mT)
    return vh.mT @ (signs[..., None] * u.mT)


@pytest.fixture
def matrices():
    return torch.randn(40, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_value_and_gradient_are_the_svds_where_that_is_well_behaved(matrices):
    assert {1.0, -1.0} == set(torch.linalg.det(matrices).sign().tolist())
    weights = torch.randn(40, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    gradients = []
    for rotation in (ClosestRotation.apply, by_autograd):
        leaf = matrices.clone().requires_grad_()
        found = rotation(leaf)
        (found * weights).sum().backward()
        gradients.append((found.detach(), leaf.grad))
    torch.testing.assert_close(gradients[0][0], gradients[1][0], atol=1e-12, rtol=0)
    torch.testing.assert_close(gradients[0][1], gradients[1][1], atol=1e-8, rtol=1e-6)


def test_gradient_against_differences(matrices):
    assert torch.autograd.gradcheck(rows_to_rotation, matrices[:6].flatten(1).requires_grad_())


def test_the_identity_has_the_gradient_of_an_infinitesimal_turn():
    leaf = torch.eye(3, dtype=torch.float64).requires_grad_()
    ClosestRotation.apply(leaf)[0, 1].backward()
    assert leaf.grad.tolist() == [[0, 0.5, 0], [-0.5, 0, 0], [0, 0, 0]]  # R01 = (A01 - A10) / 2 to first order


@pytest.mark.parametrize("numbers", [[0.0] * 9, [1.0, 0, 0] * 3, [1.0, 0, 0, 0, 1, 0, 0, 0, -1]])
def test_gradient_is_finite_where_the_rotation_is_not_unique(numbers):
    leaf = torch.tensor(numbers, requires_grad=True)
    rotation = rows_to_rotation(leaf)
    torch.testing.assert_close(rotation @ rotation.mT, torch.eye(3), atol=1e-6, rtol=0)
    rotation[0, 1].backward()
    assert leaf.grad.isfinite().all()


def test_every_row_counts_the_same():
    numbers = torch.tensor([3.0, 0.1, 0, 0, 1, 0.2, 0.3, 0, 2])
    scaled = numbers * torch.tensor([5.0, 5, 5, 0.1, 0.1, 0.1, 2, 2, 2])
    torch.testing.assert_close(rows_to_rotation(scaled), rows_to_rotation(numbers), atol=1e-6, rtol=0)
