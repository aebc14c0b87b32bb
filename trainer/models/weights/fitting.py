"""Names and shapes side by side: what a file lacks, what it has too much, what has another shape."""

from collections.abc import Mapping

from torch import Tensor, nn

from pipeline.errors import ConfigError
from trainer.models.weights.kinds import kind_of, stranger
from trainer.models.weights.reading import WeightFile, some

Shapes = Mapping[str, tuple[int, ...]]


def shapes_of(model: nn.Module) -> Shapes:
    """Shape of every entry of a model's state_dict."""
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def check_fit(file: WeightFile, expected: Shapes, name: str) -> None:
    """Raise ConfigError unless a file has exactly these entries in these shapes; the message names them and what may help.

    Args:
        expected: of the model that the file is for.
        name: that model's, as `build_model` calls it.
    """
    given = {key: tuple(tensor.shape) for key, tensor in file.tensors.items()}
    misshapen = [key for key in expected if key in given and given[key] != expected[key]]
    complaints = {
        "missing": [key for key in expected if key not in given],
        "unexpected": [key for key in given if key not in expected],
        "of another shape": [f"{key} {list(given[key])} for {list(expected[key])}" for key in misshapen],
    }
    found = "; ".join(f"{len(keys)} {what}: {some(keys)}" for what, keys in complaints.items() if keys)
    if found:
        raise ConfigError(
            f"{file.source} does not fit {name}: of {len(expected)} entries {found}. {_advice(file.tensors, name, misshapen)}"
        )


def _advice(tensors: Mapping[str, Tensor], name: str, misshapen: list[str]) -> str:
    kind = kind_of(tensors)
    if kind is None:
        return f"It holds {stranger(tensors)}; a file of {name} is needed"
    if kind != name:
        return f"It holds weights of {kind}: build that, or begin {name} from it with start_from"
    return (
        "It was made with other sizes: build the model with its configuration" if misshapen else "It is incomplete, or of another version"
    )
