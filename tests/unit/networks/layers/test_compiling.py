"""Blocks that torch compiles: the same names and numbers, and an error where there is no compiler."""

import pytest
import torch
from torch import nn

from networks import build_model
from networks.layers.blocks import Block
from networks.layers.compiling import compile_blocks
from networks.layers.initialisation import fill_weights
from pipeline.errors import ConfigError
from tests.tiny_network import TINY


def test_a_compiled_block_computes_the_same_for_any_number_of_tokens() -> None:
    plain = nn.Sequential(Block(8, 2, mlp_ratio=2))
    compiled = nn.Sequential(Block(8, 2, mlp_ratio=2))
    fill_weights(plain, torch.Generator().manual_seed(0))
    compile_blocks(compiled, (Block,))
    compiled.load_state_dict(plain.state_dict(), strict=True)  # under the same names
    for shape in ((2, 5, 8), (3, 7, 8)):
        tokens = torch.randn(shape, generator=torch.Generator().manual_seed(1))
        outputs = []
        for network in (plain, compiled):
            network.zero_grad()
            with torch._inductor.config.patch(compile_threads=1):  # a pool of processes would cost more than it saves
                outputs.append(network(tokens))
            outputs[-1].square().sum().backward()
        torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-5, atol=1e-6)
        for found, expected in zip(compiled.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(found.grad, expected.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["pi3", "trajvg"])
def test_networks_name_their_entries_alike_and_ask_for_a_compiler_when_they_are_built(name: str) -> None:
    compiling = {**TINY, "computing": {"compile": True}}
    assert list(build_model(name, compiling).state_dict()) == list(build_model(name, TINY).state_dict())
    with (
        torch._inductor.config.patch({"cpp.cxx": (None, "no-such-compiler")}),
        pytest.raises(ConfigError, match="computing.compile needs a C\\+\\+ compiler, and torch finds none; install"),
    ):
        build_model(name, compiling)
