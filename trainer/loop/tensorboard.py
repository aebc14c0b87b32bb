"""TensorBoard's files: curves and pictures. The one file that needs the extra `train`."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any, cast

import cv2
import numpy as np

from pipeline import storage
from pipeline.errors import ConfigError
from trainer.loop.step_report import StepReport


class Board:
    """A run's curves and pictures below OUT/tensorboard."""

    def __init__(self, out: str, first: int) -> None:
        """Args:
            first: step that the run goes on with; TensorBoard hides what an earlier process wrote of later steps.

        Raises: ConfigError if the package is missing, or OUT is no local folder.
        """
        package = _package()
        if not storage.is_local(out):
            raise ConfigError(f"logs.tensorboard writes to a local folder, and out is {out}; set logs.tensorboard to false")
        self._package = package
        self._writer = package.SummaryWriter(storage.join(storage.absolute(out), "tensorboard"), purge_step=first)

    def add(self, report: StepReport) -> None:
        """Points of the curves."""
        curves = {f"loss/{name}": value for name, value in report.terms.items()}
        curves |= {
            "total": report.loss,
            "step/learning_rate": report.learning_rate,
            "step/gradient_norm": report.gradient_norm,
            "step/clips_per_s": report.num_clips / max(report.step_s, 1e-9),
            "step/share_waiting_for_data": report.wait_s / max(report.step_s, 1e-9),
        }
        for name, value in curves.items():
            if value is not None:
                self._writer.add_scalar(name, value, report.step)

    def add_pictures(self, pictures: Mapping[str, np.ndarray], step: int, side: str) -> None:
        """Args:
        pictures: RGB, uint8 "H W 3" each, by name.
        side: labelled or pseudo.
        """
        for name, picture in pictures.items():
            self._writer.file_writer.add_summary(self._summary(f"{side}/{name}", picture), step)

    def close(self) -> None:
        """Write what is held back."""
        self._writer.close()

    def _summary(self, name: str, picture: np.ndarray) -> Any:
        """Encoded here: the package would want Pillow for it."""
        messages = self._package.proto.summary_pb2
        height, width, channels = picture.shape
        encoded = cv2.imencode(".png", picture[..., ::-1])[1].tobytes()
        image = messages.Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=encoded)
        return messages.Summary(value=[messages.Summary.Value(tag=name, image=image)])


def _package() -> ModuleType:
    try:
        import tensorboardX
        import tensorboardX.proto.summary_pb2
    except ImportError as error:
        raise ConfigError("logs.tensorboard needs the extra: pip install 'trackmill[train]'; or set it to false") from error
    return cast(ModuleType, tensorboardX)
