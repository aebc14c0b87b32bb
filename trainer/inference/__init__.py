"""A model on a video: frames in, one record of geometry and tracks out, and the files that others read."""

from networks.pi3.inputs import PIXEL_BUDGET, fitted_size, resize_frames
from trainer.inference.predict import arithmetic, predict
from trainer.inference.prediction import PredictedTracks, Prediction

__all__ = ["PIXEL_BUDGET", "PredictedTracks", "Prediction", "arithmetic", "fitted_size", "predict", "resize_frames"]
