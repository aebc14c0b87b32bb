"""The border around one part: what passes, what becomes an error of the part, what is said of it."""

import errno
import pickle

import pytest

from pipeline.border import border
from pipeline.errors import ConfigError, DataError, MemoryExhausted, StorageError, UnexpectedError
from pipeline.shards.errors_table import ErrorRow, read_errors, write_errors


@pytest.mark.parametrize("error", [DataError("bad"), StorageError("gone"), ConfigError("wrong")])
def test_errors_of_ours_pass_as_they_are(error):
    with pytest.raises(type(error)) as caught, border("a.mp4"):
        raise error
    assert caught.value is error


@pytest.mark.unexpected
def test_an_exception_that_nobody_foresaw_names_part_kind_and_line_and_survives_a_pickle(tmp_path):
    with (
        pytest.raises(UnexpectedError, match=r"^a.mp4: unexpected KeyError at test_border.py:\d+ in test_an_.*: 'pts'$") as caught,
        border("a.mp4"),
    ):
        {}["pts"]  # noqa: B018
    error = pickle.loads(pickle.dumps(caught.value))
    assert (str(error), error.kind) == (str(caught.value), "KeyError")
    assert "Traceback" in error.trace
    write_errors(str(tmp_path), "shards", 0, [ErrorRow.of(error, stage="shards", key="a", source="a.mp4")])
    (row,) = read_errors(str(tmp_path), "shards")
    assert row.unexpected
    assert (row.exception, row.traceback) == ("KeyError", error.trace)


def test_memory_and_disk_that_run_out_are_no_mistakes():
    with pytest.raises(MemoryExhausted, match="a.mp4: does not fit into memory"), border("a.mp4"):
        raise MemoryError
    with pytest.raises(StorageError, match="a.mp4: no space left"), border("a.mp4"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError, match="odd"), border("a.mp4"):  # unexpected: re-raised in tests
        raise OSError(errno.EIO, "odd")
