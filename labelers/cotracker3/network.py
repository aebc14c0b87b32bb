"""The learned parts, under the public checkpoints' names: 188 entries."""

import torch
from torch import Tensor, nn

from labelers.cotracker3.correlation import CorrelationMlp
from labelers.cotracker3.embeddings import time_embedding
from labelers.cotracker3.encoder import FeatureEncoder
from labelers.cotracker3.update_transformer import TOKEN, UpdateTransformer


class CoTracker3(nn.Module):
    """Encoder, correlation MLP and update transformer. Holds weights and sizes; nothing of any video."""

    time_emb: Tensor

    def __init__(self, *, model_resolution: tuple[int, int], window_len: int) -> None:
        super().__init__()
        self.model_resolution = model_resolution  # (H, W): scales relative motion; engines resize frames to it
        self.window_len = window_len
        self.register_buffer("time_emb", time_embedding(window_len, TOKEN))
        self.fnet = FeatureEncoder()
        self.updateformer = UpdateTransformer()
        self.corr_mlp = CorrelationMlp()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.time_emb.device
