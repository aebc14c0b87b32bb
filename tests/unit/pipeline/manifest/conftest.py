import uuid

import fsspec
import pytest

from pipeline.manifest import ManifestOptions, read_manifest


@pytest.fixture
def put(tmp_path):
    """Write a file below tmp_path (a video's content does not matter here) and give its path."""

    def write(name, content="x"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


@pytest.fixture
def read(tmp_path):
    """Read inputs below tmp_path."""

    def run(*names, **options):
        return read_manifest([str(tmp_path / name) for name in names], ManifestOptions(**options))

    return run


@pytest.fixture
def memory():
    """Write into a store that is no local disk, and give the folder's URL."""
    bucket = f"memory://{uuid.uuid4().hex}"

    def write(name, content=b"x"):
        with fsspec.open(f"{bucket}/{name}", "wb") as handle:
            handle.write(content)
        return bucket

    return write
