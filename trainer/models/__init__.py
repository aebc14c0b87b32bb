"""π³, Pi3X and TrajVG under the public checkpoints' names."""

from trainer.models.backbone import Backbone
from trainer.models.building import build_model, model_name
from trainer.models.outputs import ModelOutput

__all__ = ["Backbone", "ModelOutput", "build_model", "model_name"]
