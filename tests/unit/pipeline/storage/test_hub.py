"""The hub's own protocol against a small server on this machine, and its cache laid out by hand."""

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub
import pytest

from pipeline.errors import ConfigError, StorageError
from pipeline.storage.hub import HubAddress, fetch_from_hub, is_hub_source, parse_hub_source

COMMIT = "5" * 40
CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ROOT = Path(__file__).parents[4]
ERRORS = {"RepoNotFound": 404, "RevisionNotFound": 404, "EntryNotFound": 404, "GatedRepo": 403}


class Hub(BaseHTTPRequestHandler):
    """Serves org/model at `main`: weights.pth, and error.NAME to give that error. breaks.pth is promised and never sent."""

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        self.server.requests.append(self.command)
        name = self.path.rsplit("/", 1)[1]
        code = name.removeprefix("error.")
        if code in ERRORS or not self.path.startswith("/org/model/resolve/main/"):
            self.send_response(ERRORS.get(code, 404))
            self.send_header("X-Error-Code", code if code in ERRORS else "RevisionNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", '"a-pointer-in-git"')
        self.send_header("X-Linked-ETag", f'"{SHA256}"')
        self.send_header("X-Linked-Size", str(len(CONTENT)))
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        if with_body and name != "breaks.pth":
            self.wfile.write(CONTENT)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub(monkeypatch) -> Iterator[ThreadingHTTPServer]:
    """A running hub; `hub.url` is its address, `hub.requests` what it was asked."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    huggingface_hub.close_session()  # the client that is made next reads the line above
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.requests, server.url = [], f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
    huggingface_hub.close_session()


@pytest.fixture
def impatient(monkeypatch) -> None:
    """The hub's client tries again at once."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def fill_cache(cache: Path, *, content: bytes = CONTENT, name: str = SHA256, revision: str = "main") -> Path:
    """Lay org/model's weights.pth out as huggingface_hub does; gives the blob's path."""
    repo = cache / "models--org--model"
    blob, link, ref = repo / "blobs" / name, repo / "snapshots" / COMMIT / "weights.pth", repo / "refs" / revision
    for path in (blob, link, ref):
        path.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(content)
    link.symlink_to(os.path.relpath(blob, link.parent))
    ref.write_text(COMMIT)
    return blob


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("hf://org/model/w.pth", HubAddress(repo="org/model", filename="w.pth")),
        ("hf://org/model@v1.0/sub/dir/w.pth", HubAddress(repo="org/model", filename="sub/dir/w.pth", revision="v1.0")),
        ("hf://org/model@refs%2Fpr%2F7/w@2.pth", HubAddress(repo="org/model", filename="w@2.pth", revision="refs/pr/7")),
    ],
)
def test_an_address_comes_apart(source, address):
    assert is_hub_source(source)
    assert parse_hub_source(source) == address


@pytest.mark.parametrize(
    "source", ["hf://", "hf://org/model", "hf://org/model/", "hf://org/model@/w.pth", "hf://model@v1/w.pth", "org/model/w"]
)
def test_what_is_no_address_is_refused(source):
    with pytest.raises(ConfigError, match="expected hf://org/repo/path"):
        parse_hub_source(source)


def test_a_file_is_fetched_once_and_then_found_in_the_cache(hub, tmp_path):
    first = fetch_from_hub("hf://org/model/weights.pth", cache_dir=str(tmp_path), endpoint=hub.url)
    assert Path(first.path).read_bytes() == CONTENT
    assert first.sha256 == SHA256
    assert hub.requests == ["HEAD", "GET"]
    assert fetch_from_hub("hf://org/model/weights.pth", cache_dir=str(tmp_path), endpoint=hub.url) == first
    assert hub.requests == ["HEAD", "GET"]


def test_a_cached_file_needs_no_hub(tmp_path):
    fill_cache(tmp_path)
    for revision in ("", "@main", f"@{COMMIT}"):
        found = fetch_from_hub(f"hf://org/model{revision}/weights.pth", cache_dir=str(tmp_path), endpoint="http://127.0.0.1:1")
        assert Path(found.path).read_bytes() == CONTENT
        assert found.sha256 == SHA256


def test_a_hash_of_git_is_not_taken_for_the_files(tmp_path):
    fill_cache(tmp_path, name="3" * 40)
    assert fetch_from_hub("hf://org/model/weights.pth", cache_dir=str(tmp_path)).sha256 is None


def test_a_deleted_blob_is_fetched_again(hub, tmp_path):
    fill_cache(tmp_path, content=b"damaged").unlink()
    again = fetch_from_hub("hf://org/model/weights.pth", cache_dir=str(tmp_path), endpoint=hub.url)
    assert Path(again.path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("hf://org/model/error.EntryNotFound", "org/model has no file error.EntryNotFound at main; check the name"),
        ("hf://org/model@v9/weights.pth", "org/model has no revision 'v9'"),
        ("hf://org/model/error.RepoNotFound", "the hub has no repository org/model, or lets only some see it .*hf auth login"),
        ("hf://org/model/error.GatedRepo", "lets only some see it .*hf auth login"),
        ("hf://org..x/model/weights.pth", "is no address of a hub file"),
    ],
)
def test_what_the_hub_refuses_is_explained(hub, tmp_path, source, message):
    with pytest.raises(ConfigError, match=message):
        fetch_from_hub(source, cache_dir=str(tmp_path), endpoint=hub.url)


@pytest.mark.usefixtures("impatient")
def test_without_a_network_the_address_to_fetch_by_hand_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    huggingface_hub.close_session()
    with pytest.raises(ConfigError) as caught:
        fetch_from_hub("hf://org/model@v2/weights.pth", cache_dir=str(tmp_path), endpoint="http://127.0.0.1:1")
    assert "not in the hub's cache and cannot be fetched" in str(caught.value)
    assert "fetch http://127.0.0.1:1/org/model/resolve/v2/weights.pth where there is a network" in str(caught.value)
    assert "set HF_HOME" in str(caught.value)


@pytest.mark.usefixtures("impatient")
def test_a_transfer_that_breaks_off_leaves_no_file_and_is_explained(hub, tmp_path):
    for _ in range(2):
        with pytest.raises(ConfigError, match="could not be fetched .*; try again, or fetch http"):
            fetch_from_hub("hf://org/model/breaks.pth", cache_dir=str(tmp_path), endpoint=hub.url)


def test_a_cache_that_cannot_be_written_is_explained(hub, tmp_path):
    (tmp_path / "cache").write_text("a file where the cache's folder should be")
    with pytest.raises(StorageError, match="the hub's cache cannot be written .*set HF_HOME to another place"):
        fetch_from_hub("hf://org/model/weights.pth", cache_dir=str(tmp_path / "cache"), endpoint=hub.url)


def test_the_environment_names_the_cache_and_may_forbid_the_network(tmp_path):
    fill_cache(tmp_path / "hub")
    code = "import sys; from pipeline.storage.hub import fetch_from_hub; print(fetch_from_hub(sys.argv[1]).path)"
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        environment.pop(name, None)

    def run(source: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, source]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    found, missing = run("hf://org/model/weights.pth"), run("hf://org/model/other.pth")
    assert Path(found.stdout.strip()).read_bytes() == CONTENT
    assert "ConfigError: hf://org/model/other.pth is not in the hub's cache and cannot be fetched" in missing.stderr
