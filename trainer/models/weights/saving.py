"""Models into files: safetensors, whole or not at all, equal bytes for equal weights."""

import safetensors.torch

from pipeline import storage
from trainer.models.backbone import Backbone
from trainer.models.building import model_name
from trainer.models.config_parsing import config_table
from trainer.models.weights.description import Description, header_of


def save_weights(uri: str, model: Backbone, *, license: str | None = None) -> None:
    """Write every entry under its public name, in its own dtype, with what builds the model again in the header.

    Args:
        uri: a local path or URL; an older file of this name is replaced.
        license: of the weights that training began from, see `license_of`; None if from nothing.
    Raises: StorageError if it cannot be written.
    """
    config = {name: section for name, section in config_table(model.config).items() if name != "computing"}
    header = header_of(Description(model=model_name(model), config=config, license=license))
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with storage.publishing(uri) as path:
        path.touch()
        mode = path.stat().st_mode
        safetensors.torch.save_file(tensors, path, metadata=header)
        path.chmod(mode)  # the library's files are for their owner alone
