"""The documented command lines on a cluster: `ray job submit` against a local head, and a root in an object store."""

import os
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline import storage
from pipeline.labels import read_labels
from pipeline.stream import ClipStream, StreamConfig

REPO = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def head(tmp_path_factory, s3_server):
    """A head node with its dashboard, and the environment that docs/cluster.md prescribes."""
    ports = [free_port() for _ in range(4)]
    environment = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{ports[0]}",
        "HEAD_ADDRESS": f"127.0.0.1:{ports[1]}",
        "RAY_prestart_worker_first_driver": "0",  # processes without the jobs' environment, which none of them would use
    }
    start = ["ray", "start", "--head", "--block", "--num-cpus", "2", "--object-store-memory", str(128 * 2**20), "--disable-usage-stats"]
    start += ["--dashboard-port", str(ports[0]), "--port", str(ports[1]), "--ray-client-server-port", str(ports[2])]
    start += ["--dashboard-agent-listen-port", str(ports[3])]  # its usual one is fixed: another Ray beside this would leave no agent
    folder = tmp_path_factory.mktemp("head")
    said = folder / "said.txt"
    with said.open("w") as output:
        process = subprocess.Popen(start, env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=folder)
    try:
        for _ in range(1200):
            if "Ray runtime started" in said.read_text():
                break
            assert process.poll() is None, said.read_text()
            time.sleep(0.1)
        yield environment
    finally:  # not `ray stop`, which ends every Ray of the machine: other tests run beside these
        process.terminate()
        process.wait(timeout=60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def submit(environment, *arguments) -> str:
    command = ["ray", "job", "submit", "--working-dir", str(REPO), "--runtime-env", str(REPO / "docs/runtime_env.yaml"), "--"]
    done = subprocess.run([*command, "python", *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=900, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def label_set_in(output: str) -> str:
    return next(line.strip() for line in reversed(output.splitlines()) if line.strip().startswith("lucas-kanade-"))


DRIVER = """
import ray
from jobs.execution.ray_session import ray_session

@ray.remote
def place():
    import jobs, pipeline
    return pipeline.__file__, jobs.__file__

with ray_session():
    print(*ray.get(place.remote()))
"""


def test_our_packages_travel_where_no_working_directory_does(head):
    environment = {**head, "RAY_ADDRESS": head["HEAD_ADDRESS"], "PYTHONPATH": str(REPO)}
    done = subprocess.run([sys.executable, "-c", DRIVER], env=environment, capture_output=True, text=True, timeout=300, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr
    places = [Path(file) for file in done.stdout.split()[-2:]]
    assert [place.parent.name for place in places] == ["pipeline", "jobs"]
    assert all("py_modules_files" in place.parts for place in places)


@pytest.mark.soak
def test_jobs_are_submitted_to_a_head(head, make_video, tmp_path):
    for name in ("a", "b", "c"):
        make_video(f"v/{name}.mp4", num_frames=30)
    root = tmp_path / "root"
    submit(head, "jobs/shard.py", tmp_path / "v", "--root", root, "--clip-frames", 15, "--clips-per-shard", 2)
    label_set = label_set_in(submit(head, "jobs/pseudolabel.py", "--root", root, "--labeler", "lucas-kanade", "--queries", 36))
    assert len(dict(read_labels(str(root), label_set))) == 6


def test_jobs_work_on_a_root_in_an_object_store(head, bucket, make_video, run_job):
    for name in ("a", "b"):
        path = make_video(f"v/{name}.mp4", num_frames=30)
        storage.publish_bytes(f"{bucket}/videos/{name}.mp4", path.read_bytes())
    root = f"{bucket}/root"
    run_job("shard.py", f"{bucket}/videos", "--root", root, "--clip-frames", 15, "--clips-per-shard", 2, "--executor", "inline")
    label = ("jobs/pseudolabel.py", "--root", root, "--labeler", "lucas-kanade", "--queries", 36, "--num-workers", 1)
    label_set = label_set_in(submit(head, *label))
    assert len(dict(read_labels(root, label_set))) == 4
    samples = list(ClipStream(StreamConfig(root=root, labels=label_set, num_frames=8, epochs=1)))
    assert sorted(sample.tracks2d.shape for sample in samples) == [(8, 36, 2)] * 4
