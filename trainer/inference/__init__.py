"""A model on a video: frames in, one record of geometry and tracks out, window by window if it is long, and the files that others read."""

from networks.inputs import resize_frames
from trainer.inference.prediction import PredictedTracks, Prediction, predict
from trainer.inference.reconstruction import Reconstruction, reconstruct
from trainer.inference.windows import Window, WindowPlan

__all__ = ["PredictedTracks", "Prediction", "Reconstruction", "Window", "WindowPlan", "predict", "reconstruct", "resize_frames"]
