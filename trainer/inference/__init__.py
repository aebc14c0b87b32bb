"""A model on a video: frames in, one record of geometry and tracks out, and the files that others read."""

from networks.inputs import resize_frames
from trainer.inference.prediction import PredictedTracks, Prediction, predict

__all__ = ["PredictedTracks", "Prediction", "predict", "resize_frames"]
