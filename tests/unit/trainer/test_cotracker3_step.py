"""CoTracker3's network within the trainer's reach: a step along the gradient lowers a loss of tracks and visibility."""

import pytest
import torch
from torch import Tensor

from networks import build_model
from trainer.families.trajvg.tracking import visibility_loss
from trainer.losses.penalties import huber


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(("name", "num_frames"), [("cotracker3-offline", 3), pytest.param("cotracker3-online", 9, marks=pytest.mark.soak)])
def test_a_step_along_the_gradient_lowers_the_loss(name, num_frames):
    model = build_model(name, {"model_resolution": (32, 48)})
    video = 255 * torch.rand(1, num_frames, 3, 32, 48, generator=torch.Generator().manual_seed(1))
    queries = torch.tensor([[[0.0, 10.0, 12.0], [1.0, 30.5, 20.25]]])
    true_tracks = queries[:, None, :, 1:] + torch.arange(num_frames)[None, :, None, None] * torch.tensor([1.5, -0.5])
    visible = torch.tensor([True, False]).expand(1, num_frames, 2)

    def loss() -> Tensor:
        output = model(video, queries, iters=1)
        return huber(output.tracks - true_tracks, 1.0).mean() + visibility_loss([output.visibility.logit()], visible).mean()

    before = loss()
    before.backward()
    gradients = {parameter_name: parameter.grad for parameter_name, parameter in model.named_parameters()}
    assert [parameter_name for parameter_name, gradient in gradients.items() if gradient is None or not gradient.isfinite().all()] == []
    assert all(gradients[part].abs().max() > 0 for part in ("fnet.conv1.weight", "corr_mlp.fc1.weight", "updateformer.flow_head.weight"))
    squares = sum(gradient.square().sum() for gradient in gradients.values())
    torch.optim.SGD(model.parameters(), lr=float(0.1 * before.detach() / squares)).step()  # a tenth less, were it linear
    with torch.no_grad():
        assert 0.8 * before < loss() < before
