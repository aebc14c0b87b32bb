"""A run's curves and pictures as TensorBoard's files. Needs the extra `train`."""

from collections.abc import Mapping
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import cv2
import numpy as np

from pipeline import storage
from pipeline.errors import install_command
from trainer.loop.loggers import RunInfo


def tensorboard_obstacle(out: str) -> str | None:
    """Why a run cannot have TensorBoard's files; None if it can."""
    if find_spec("tensorboardX") is None:
        return f"it needs the extra: {install_command('train')}"
    return None if storage.is_local(out) else f"it writes to a local folder, and out is {out}"


class TensorBoardLogger:
    """A `Logger` that writes below OUT/tensorboard. What an earlier process wrote of later steps is hidden."""

    def __init__(self, run: RunInfo) -> None:
        self._package = _tensorboardx()
        self._writer = self._package.SummaryWriter(storage.join(storage.absolute(run.out), "tensorboard"), purge_step=run.first_step)

    def add_values(self, values: Mapping[str, float], step: int) -> None:
        """See `Logger`."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def add_pictures(self, pictures: Mapping[str, np.ndarray], step: int) -> None:
        """See `Logger`."""
        for name, picture in pictures.items():
            self._writer.file_writer.add_summary(self._summary(name, picture), step)

    def close(self, *, failed: bool) -> None:
        """Flush the files."""
        self._writer.close()

    def _summary(self, name: str, picture: np.ndarray) -> Any:
        """A picture as a summary, encoded here because the package would need Pillow."""
        messages = self._package.proto.summary_pb2
        height, width, channels = picture.shape
        encoded = cv2.imencode(".png", picture[..., ::-1])[1].tobytes()
        image = messages.Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=encoded)
        return messages.Summary(value=[messages.Summary.Value(tag=name, image=image)])


def _tensorboardx() -> ModuleType:
    """Loaded when a run opens it: it takes a quarter of a second."""
    import tensorboardX
    import tensorboardX.proto.summary_pb2

    package: ModuleType = tensorboardX
    return package
