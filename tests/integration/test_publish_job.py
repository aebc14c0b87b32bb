"""jobs/publish.py: what leaves and what stays, the card and its code, joining on the other side, and sending to a hub."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import duckdb
import huggingface_hub
import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.audit.stored.audit_rows import read_audit_shard
from pipeline.export.joining import BY_HASH, BY_TIMES, NOT_THERE, join_published
from pipeline.labels import read_label_shard, read_labels
from pipeline.shards.tombstones import write_tombstones
from tests.exported_dataset import LABELLED, WEIGHTS, Clip, H, T, W, audit, label, labels_of, write_root

CLIPS = [
    Clip(key="s0c0", mp4=True, truth=False, url="https://example.org/a"),
    Clip(key="s0c1", mp4=True, truth=False, split="val", license="CC BY-NC-SA 4.0"),
    Clip(key="s0c2", mp4=True, truth=False),
    Clip(key="s1c0", mp4=True, truth=False, license="CC0 (rendered)"),
]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A root of four clips in two shards: one was not labelled, one is quarantined by the audit."""
    root = write_root(tmp_path_factory.mktemp("labelled") / "root", CLIPS)
    name = label(root, (0, 1), failed=("s0c2",))
    audit(root, (0, 1), reasons={"s1c0": ("flicker",)})
    return root, name


@pytest.fixture(scope="module")
def publication(labelled, tmp_path_factory, run_job):
    root, name = labelled
    out = tmp_path_factory.mktemp("publication") / "out"
    done = run_job(
        "publish.py", "--root", root, "--labels", name, "--audit", name, "--out", out, "--with-video", "--license", "CC BY-NC 4.0"
    )
    return out, done.stdout


def blocks(out: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (out / "README.md").read_text(), re.DOTALL)


def run_in(folder: Path, code: str, check: str) -> str:
    return subprocess.run([sys.executable, "-c", f"{code}\n{check}"], capture_output=True, text=True, check=True, cwd=folder).stdout


def test_labels_and_audit_are_those_of_the_root(labelled, publication):
    root, name = labelled
    out, _ = publication
    found = dict(read_labels(str(out), name))
    assert list(found) == ["s0c0", "s0c1", "s1c0"]
    for key, labels in found.items():
        np.testing.assert_array_equal(labels.tracks_px, labels_of(key).tracks_px)
        np.testing.assert_array_equal(labels.visibility, labels_of(key).visibility)
    for shard, key in ((0, "s0c1"), (1, "s1c0")):
        there, here = (read_audit_shard(where, name, shard).whole(key) for where in (root, str(out)))
        assert here.verdict == there.verdict
        np.testing.assert_array_equal(here.tracks.weight, WEIGHTS)
        np.testing.assert_array_equal(here.tracks.ncc, there.tracks.ncc)


def test_a_label_says_which_frames_of_which_video_it_is_of(publication):
    out, _ = publication
    row = pq.read_table(out / "labels" / LABELLED.name / "000000.parquet").to_pylist()[0]
    assert (row["source"], row["url"], row["split"], row["license"]) == ("walks/s0c0.mp4", "https://example.org/a", "train", "CC-BY-4.0")
    assert (row["start_s"], row["end_s"], row["fps"], row["num_frames"], row["width"], row["height"]) == (0.0, 0.6, 10.0, T, W, H)
    np.testing.assert_allclose(row["timestamps"], np.arange(T) / 10)
    with tarfile.open(out / "shards/000000.tar") as tar:
        assert hashlib.sha256(tar.extractfile("s0c0.mp4").read()).hexdigest() == row["clip_sha256"]
        assert sorted(tar.getnames()) == ["s0c0.json", "s0c0.mp4", "s0c1.json", "s0c1.mp4"]


def test_the_card_states_licences_checkpoint_and_figures(labelled, publication):
    out, shown = publication
    card = (out / "README.md").read_text()
    head = card.split("---")[1]
    assert "license: cc-by-nc-4.0" in head
    assert "- n<1K" in head
    assert f'data_files: "labels/{LABELLED.name}/*.parquet"' in head
    assert "| CC0 (rendered) | 1 | 1 |" in card
    assert "c" * 64 in card
    assert "Not for commercial use" in card
    mean, trusted = WEIGHTS.mean(), 3 * int((WEIGHTS >= 0.5).sum())
    assert f"Mean weight {mean:.3f}; {trusted} of 36 tracks ({trusted / 36:.0%})" in card
    assert "| keep | 2 |" in card
    assert "| quarantine | 1 |" in card
    assert "3, split all; shards: 2" in shown
    written = [path for path in out.rglob("*") if path.is_file()]
    assert not [path for path in written if str(labelled[0]).encode() in path.read_bytes()]  # no folder of this machine
    assert not [path for path in written if path.suffix == ".html"]  # the audit's report shows pictures


def test_the_code_of_the_card_runs(publication):
    out, _ = publication
    (sql,) = blocks(out, "sql")
    rows = duckdb.sql(sql.replace("'index/", f"'{out}/index/").replace("'labels/", f"'{out}/labels/")).fetchall()
    first = labels_of("s0c0").tracks_px[0, 0]
    assert [row[0] for row in rows] == ["s0c0", "s0c1", "s1c0"]
    assert rows[0][1] == "keep"
    np.testing.assert_allclose([float(rows[0][3]), float(rows[0][4])], first)
    check = "import sys; assert 'pipeline' not in sys.modules; print([(s['__key__'], s['labels']['num_tracks']) for s in dataset])"
    assert run_in(out, blocks(out, "python")[1], check) == "[('s0c0', 12), ('s0c1', 12), ('s1c0', 12)]\n"


def test_the_datasets_package_loads_the_labels(publication):
    pytest.importorskip("datasets")
    out, _ = publication
    assert run_in(out, blocks(out, "python")[0], "print(len(labels), x[0][0])") == f"3 {labels_of('s0c0').tracks_px[0, 0, 0]}\n"


def test_running_again_changes_nothing_and_a_forgotten_clip_goes(labelled, tmp_path, run_job, published):
    root, name = labelled
    own = shutil.copytree(root, tmp_path / "root")
    common = ("publish.py", "--root", own, "--labels", name, "--audit", name, "--out", tmp_path / "out")
    run_job(*common)
    before = published(tmp_path / "out")
    run_job(*common)
    assert published(tmp_path / "out") == before
    assert not (tmp_path / "out/shards").exists()
    write_tombstones(str(own), ["s0c0"])
    run_job(*common)
    assert [key for key, _ in read_labels(str(tmp_path / "out"), name)] == ["s0c1", "s1c0"]
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file() and b"s0c0" in path.read_bytes()]


def test_videos_leave_only_where_every_licence_is_known_to_allow_it(tmp_path, run_job):
    root = write_root(
        tmp_path / "root", [Clip(key="s0c0"), Clip(key="s0c1", license="all rights reserved"), Clip(key="s0c2", license=None)]
    )
    common = ("publish.py", "--root", root, "--labels", label(root), "--out", tmp_path / "out")
    said = run_job(*common, "--with-video", code=2).stderr
    assert "2 sources" in said
    assert "walks/s0c1.mp4 (all rights reserved), walks/s0c2.mp4 (no licence stated)" in said
    assert not (tmp_path / "out").exists()
    assert "not included" in run_job(*common).stdout


def test_a_receiver_joins_labels_by_hash_or_by_source_and_times(publication, tmp_path):
    out, _ = publication
    root = write_root(
        tmp_path / "mine",
        [
            Clip(key="s0c0", mp4=True, truth=False),  # the same bytes
            Clip(key="s0c8", source="elsewhere/s0c1.mp4", size=(2 * H, 2 * W), truth=False),  # cut anew, at twice the size
            Clip(key="s0c9", source="walks/s1c0.mp4", start_s=0.1, truth=False),  # other frames of a known source
        ],
    )
    assert join_published(str(out), root) == {BY_HASH: 1, BY_TIMES: 1, NOT_THERE: 1}
    shard = read_label_shard(root, LABELLED.name, 0)
    assert [shard.entry(key).status for key in ("s0c0", "s0c8", "s0c9")] == ["ok", "ok", "failed"]
    np.testing.assert_array_equal(shard.tracks("s0c0").tracks_px, labels_of("s0c0").tracks_px)
    np.testing.assert_allclose(shard.tracks("s0c8").tracks_px, 2 * labels_of("s0c1").tracks_px + 0.5, atol=1 / 64)
    np.testing.assert_allclose(shard.tracks("s0c8").queries[:, 1:], 2 * labels_of("s0c1").queries[:, 1:] + 0.5)
    assert shard.entry("s0c8").notes == f"joined {BY_TIMES}, positions scaled from {W}x{H}"
    assert join_published(str(out), root) == {}  # its shards are labelled now


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as takes a folder in one commit."""

    def do_GET(self) -> None:
        if "/tree/" in self.path:
            self._answer([{"type": "file", "path": name, "size": 1, "oid": "1" * 40} for name in self.server.files])
        else:
            self._answer({"id": "lab/tracks", "sha": "1" * 40, "siblings": [{"rfilename": name} for name in self.server.files]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            self.server.made = asked
            self._answer({"url": f"{self.server.url}/datasets/lab/tracks", "name": "lab/tracks"})
        elif self.path.startswith("/api/datasets/lab/tracks/preupload/"):
            paths = [file["path"] for file in json.loads(body)["files"]]
            self._answer({"files": [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths]})
        elif self.path.startswith("/api/datasets/lab/tracks/commit/"):
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                elif line["key"] == "deletedFile":
                    del self.server.files[line["value"]["path"]]
            self._answer({"commitUrl": f"{self.server.url}/datasets/lab/tracks/commit/1", "commitOid": "1" * 40})
        else:
            self._answer({"warnings": [], "errors": []})

    def _answer(self, document: object) -> None:
        data = json.dumps(document).encode()
        self.send_response(403 if self.server.closed else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub(monkeypatch) -> Iterator[ThreadingHTTPServer]:
    """A hub that holds lab/tracks with one file of an earlier publication, and one that somebody put there."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.url, server.files = f"http://127.0.0.1:{server.server_address[1]}", {"index/9.parquet": b"", "paper.pdf": b"mine"}
    server.made, server.closed = None, False
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY", True)  # else it asks this hub for more, and keeps the answer
    huggingface_hub.close_session()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
    huggingface_hub.close_session()


def test_the_folder_is_sent_to_the_hub_and_replaces_an_earlier_one(labelled, tmp_path, run_job, hub):
    root, name = labelled
    common = ("publish.py", "--root", root, "--labels", name, "--out", tmp_path / "out", "--repo", "lab/tracks", "--private")
    done = run_job(*common)
    here = {path.relative_to(tmp_path / "out").as_posix(): path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert hub.files == {**here, "paper.pdf": b"mine"}
    assert (hub.made["organization"], hub.made["name"], hub.made["type"]) == ("lab", "tracks", "dataset")
    assert hub.made.get("private") is True or hub.made.get("visibility") == "private"  # by the version of huggingface_hub
    assert f"{hub.url}/datasets/lab/tracks" in done.stdout
    assert 'load_dataset("lab/tracks", "labels", split="train")' in here["README.md"].decode()
    hub.closed = True
    said = run_job(*common, code=2).stderr
    assert "lab/tracks: the hub did not take the folder" in said
    assert "hf auth login" in said


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--labels", "nothing"), "no label set 'nothing'"),
        (("--audit", "nothing"), "no audit 'nothing'"),
        (("--repo", "tracks"), "--repo is 'tracks', expected OWNER/NAME"),
        (("--split", "test"), "no clip of"),
    ],
)
def test_bad_usage_is_explained(more, said, labelled, tmp_path, run_job):
    root, name = labelled
    given = ("--labels", name) if "--labels" not in more else ()
    assert said in run_job("publish.py", "--root", root, *given, "--out", tmp_path / "out", *more, code=2).stderr
