"""Operations of networks whose number can be worked out by hand, and peaks by names of cards."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from networks import build_model
from tests.unit.trainer.loop.rendered import TINY, make_clips
from trainer.data import StepBatch
from trainer.families import ClipShares, Objective, family_of
from trainer.families.trajvg import TrajVGLosses
from trainer.loop.flops import FlopTally, peak_of_card, peak_tflops

BATCH, IN, HIDDEN, OUT = 5, 7, 11, 3


def passes(network: nn.Module, inputs: torch.Tensor) -> tuple[int, int]:
    """Operations forward and backward."""
    with FlopTally(backward=False) as forward:
        total = network(inputs).sum()
    with FlopTally(backward=True) as backward:
        total.backward()
    return forward.total, backward.total


def layers() -> nn.Sequential:
    return nn.Sequential(nn.Linear(IN, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, OUT))


def test_a_perceptron() -> None:
    forward, backward = passes(layers(), torch.ones(BATCH, IN))
    assert forward == 2 * BATCH * (IN * HIDDEN + HIDDEN * OUT)
    assert backward == 2 * BATCH * (IN * HIDDEN + 2 * HIDDEN * OUT)  # the first layer's inputs take no gradient
    frozen = layers()
    frozen[0].requires_grad_(False)
    assert passes(frozen, torch.ones(BATCH, IN)) == (forward, 2 * BATCH * HIDDEN * OUT)


def test_what_checkpointing_computes_again_is_no_work_of_the_model() -> None:
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = layers()

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return checkpoint(self.layers, inputs, use_reentrant=False)

    inputs = torch.ones(BATCH, IN, requires_grad=True)
    assert passes(Checkpointed(), inputs) == passes(layers(), inputs)


def test_compiled_layers_count_as_plain_ones_and_stay_compiled() -> None:
    calls = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., Any]:
        calls.append(graph)
        return graph.forward

    class Compiled(nn.Module):  # torch compiles no module of its own
        def __init__(self) -> None:
            super().__init__()
            self.layers = layers()

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.layers(inputs)

    compiled, inputs = Compiled(), torch.ones(BATCH, IN, requires_grad=True)
    compiled.compile(fullgraph=True, backend=backend)
    assert passes(compiled, inputs) == passes(layers(), inputs)
    assert not calls
    compiled(inputs)
    assert len(calls) == 1


def test_attention_and_convolution() -> None:
    q, k, v = (torch.randn(2, 3, number, 8, requires_grad=True) for number in (5, 9, 9))  # batch, heads, tokens, channels
    with FlopTally(backward=False) as tally:
        total = functional.scaled_dot_product_attention(q, k, v).sum()
    assert tally.total == 2 * (2 * 2 * 3 * 5 * 9 * 8)
    with FlopTally(backward=True) as tally:
        total.backward()
    assert tally.total >= 4 * (2 * 2 * 3 * 5 * 9 * 8)
    with FlopTally(backward=False) as tally:
        functional.conv2d(torch.zeros(2, 4, 6, 6), torch.zeros(8, 4, 3, 3))
    assert tally.total == 2 * 2 * 8 * 4 * 9 * 16


def test_counting_changes_no_bit_of_a_step() -> None:
    """Or a resumed run, which counts where the undisturbed one remembered, would go another way."""
    settings = TrajVGLosses()
    batch = StepBatch(step=0, labelled=make_clips(0, 1, labelled=True), pseudo=make_clips(1, 1, labelled=False))

    def gradients(forward: AbstractContextManager, backward: AbstractContextManager) -> list[torch.Tensor | None]:
        model = build_model("trajvg", TINY, generator=torch.Generator().manual_seed(0))
        objective = Objective(family_of("trajvg"), model, settings)
        with forward:
            total = objective(batch, ClipShares(labelled=1.0, pseudo=1.0)).total
        with backward:
            total.backward()
        return [total.detach(), *(parameter.grad for parameter in model.parameters())]

    plain = gradients(nullcontext(), nullcontext())
    counted = gradients(FlopTally(backward=False), FlopTally(backward=True))
    assert len(plain) > 100
    for one, other in zip(plain, counted, strict=True):
        assert (one is None and other is None) or torch.equal(one, other)


def test_a_card_is_known_by_its_name() -> None:
    names = {
        "NVIDIA H100 80GB HBM3": 989.5, "NVIDIA H100 PCIe": 756.5, "NVIDIA H200": 989.5, "NVIDIA A100-SXM4-80GB": 312.0,
        "NVIDIA L40S": 362.0, "NVIDIA L40": None, "NVIDIA A10": 125.0, "NVIDIA A100X": None, "NVIDIA B200": 2250.0, "Tesla T4": None,
    }  # fmt: skip
    assert {name: peak_of_card(name) for name in names} == names
    assert peak_tflops(torch.device("cpu"), "bfloat16") is None
