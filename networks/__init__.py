"""Networks and their weights under the public checkpoints' names, nothing else. Importing this loads no torch."""

from networks.registry import MODELS, build_model, model_name

__all__ = ["MODELS", "build_model", "model_name"]
