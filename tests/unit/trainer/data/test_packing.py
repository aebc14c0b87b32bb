"""What comes out of a loader's process is what went in."""

import pickle

import torch
from torch import Tensor

from trainer.data.packing import pack, unpack


def test_everything_arrives_as_it_was() -> None:
    tensors = {
        "bytes": torch.arange(5, dtype=torch.uint8),
        "truths": torch.tensor([[True, False], [False, True]]),
        "turned": torch.arange(6.0).reshape(2, 3).T,
        "number": torch.tensor(3, dtype=torch.int64),
        "nothing": torch.zeros(0, 3),
        "unknown": torch.tensor([torch.nan, -0.0]),
    }
    item = {**tensors, "name": "a clip", "rest": (None, [tensors["bytes"]])}
    back = unpack(pickle.loads(pickle.dumps(pack(item))))
    assert {name: back[name].dtype for name in tensors} == {name: tensor.dtype for name, tensor in tensors.items()}
    assert all(torch.equal(bits(back[name]), bits(tensor)) and back[name].shape == tensor.shape for name, tensor in tensors.items())
    assert (back["name"], back["rest"][0]) == ("a clip", None)
    assert back["rest"][1][0].tolist() == [0, 1, 2, 3, 4]


def test_one_piece_of_memory_for_all() -> None:
    packed = pack([torch.ones(3), torch.ones(5, dtype=torch.bool)])
    assert [tensor.untyped_storage().data_ptr() for tensor in unpack(packed)] == [packed.memory.untyped_storage().data_ptr()] * 2


def bits(tensor: Tensor) -> Tensor:
    return tensor.contiguous().flatten().view(torch.uint8)
