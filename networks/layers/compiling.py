"""torch.compile of a network's blocks, in place: the network stays a tree of the same modules, with the same names in its state_dict."""

import inspect

import torch
from torch import nn

from pipeline.errors import ConfigError

# Blocks of one class share their compiled code, a variant for each structure, with and without gradient, autocast, one clip or several.
_MOST_VARIANTS = 64


def compile_blocks(network: nn.Module, kinds: tuple[type[nn.Module], ...]) -> None:
    """Let every block of these classes be compiled when it is first called, for any number of tokens.

    Casts round as they do without: in bfloat16 the public weights were trained with rounded angles of position, which a compiler would
    leave exact. Where a block cannot be compiled, or there are too many variants, torch raises: nothing runs uncompiled in silence.

    Raises: ConfigError where torch finds no C++ compiler, which it needs for GPUs too, or is too old.
    """
    _check_compiler()
    for block in network.modules():
        if isinstance(block, kinds):
            block.compile(fullgraph=True, dynamic=True, recompile_limit=_MOST_VARIANTS, options={"emulate_precision_casts": True})


def _check_compiler() -> None:
    """Before a training begins, rather than at its first step; torch's own search, so that its settings count."""
    from torch._inductor.cpp_builder import get_cpp_compiler  # seconds to import, and only for this
    from torch._inductor.exc import InvalidCxxCompiler

    if "recompile_limit" not in inspect.signature(torch.compile).parameters:
        raise ConfigError(f"computing.compile needs torch 2.13 or newer, this is {torch.__version__}; update it, or set compile to false")
    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as error:
        raise ConfigError(
            "computing.compile needs a C++ compiler, and torch finds none; install g++, set CXX to another, or set compile to false"
        ) from error
