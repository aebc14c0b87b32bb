"""Random draws that depend on the clip alone."""

import hashlib

import numpy as np


def generator_for(key: str, purpose: str, index: int) -> np.random.Generator:
    """A generator made from the clip's key, what is drawn, and its number: the same on every machine and in every run."""
    digest = hashlib.sha256(f"{key}\n{purpose}\n{index}".encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, "<u4").tolist())
