import ast
import io

import numpy as np
import pytest

from pipeline.datasets.npz import open_npz
from pipeline.datasets.pictures import read_npy
from pipeline.datasets.safe_pickle import load_npy
from pipeline.records.npy_headers import retry_parsing
from pipeline.records.npz import read_npz

VALUE = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def tripped(monkeypatch) -> list[str]:
    """Every other parsing fails as the interpreter's does when another thread parses; the texts that were parsed."""
    parse, parsed = ast.literal_eval, []

    def trip(text):
        parsed.append(text)
        if len(parsed) % 2:
            raise SystemError("AST constructor recursion depth mismatch (before=27, after=24)")
        return parse(text)

    monkeypatch.setattr(ast, "literal_eval", trip)
    return parsed


@pytest.fixture
def npz(tmp_path) -> str:
    path = tmp_path / "arrays.npz"
    np.savez_compressed(path, a=VALUE, b=VALUE + 1)
    return str(path)


def test_arrays_of_an_npz_are_read_all_the_same(npz, tripped):
    with open(npz, "rb") as handle:
        found = read_npz(handle.read(), ("a", "b"), shapes={}, what="the file")
    np.testing.assert_array_equal(found["b"], VALUE + 1)
    assert len(tripped) == 4
    with open_npz(npz) as archive:
        assert archive.shape("a") == (2, 3)
        np.testing.assert_array_equal(archive.rows("b", 1, 1), VALUE[1:] + 1)


def test_arrays_of_an_npy_are_read_all_the_same(tmp_path, tripped):
    buffer = io.BytesIO()
    np.save(buffer, VALUE)
    np.testing.assert_array_equal(load_npy(buffer.getvalue(), "the file"), VALUE)
    (tmp_path / "a.npy").write_bytes(buffer.getvalue())
    np.testing.assert_array_equal(read_npy(str(tmp_path / "a.npy"), kinds="f", dimensions=2), VALUE)
    assert len(tripped) == 6  # the first one reads its header twice


def test_what_always_fails_is_raised():
    def read() -> None:
        raise SystemError("NULL without an exception")

    with pytest.raises(SystemError, match="NULL"):
        retry_parsing(read)
