"""Our own small tracker: chains of optical flow, refined."""

from networks.chain_refiner.correlation import COARSE, to_cells
from networks.chain_refiner.network import (
    CLUES,
    ChainRefiner,
    ChainRefinerConfig,
    ChainRefinerOutput,
    Chains,
    Estimate,
    Features,
    features_of,
)

__all__ = [
    "CLUES",
    "COARSE",
    "ChainRefiner",
    "ChainRefinerConfig",
    "ChainRefinerOutput",
    "Chains",
    "Estimate",
    "Features",
    "features_of",
    "to_cells",
]
