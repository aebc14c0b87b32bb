"""π³ and Pi3X: point maps, confidence and poses from images."""

from networks.pi3.backbone import Backbone, expect_backbone
from networks.pi3.config import ModelConfig
from networks.pi3.geometry import ModelOutput

__all__ = ["Backbone", "ModelConfig", "ModelOutput", "expect_backbone"]
