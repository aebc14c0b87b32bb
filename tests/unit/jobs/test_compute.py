"""The device that a worker's labeler is given, and the threads it may use."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import pytest
import torch

from jobs.execution.threads import pin_threads
from jobs.labeling.compute import check_device, options_on_driver, options_on_worker
from pipeline.errors import ConfigError

WITH_DEVICE = """
def make(*, device="cpu", window=3): ...
def make_any(**options): ...
"""


@pytest.fixture
def placed(tmp_path, monkeypatch):
    (tmp_path / "placed.py").write_text(WITH_DEVICE)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("placed", None)


@pytest.mark.usefixtures("placed")
def test_a_worker_with_a_gpu_puts_its_labeler_on_it():
    assert options_on_worker("placed:make", {"window": 5}, num_gpus=0.5) == {"window": 5, "device": "cuda"}
    assert options_on_worker("placed:make", {"window": 5}, num_gpus=0) == {"window": 5}


@pytest.mark.usefixtures("placed")
@pytest.mark.parametrize("door", ["placed:make", "placed:make_any"])
@pytest.mark.parametrize("num_gpus", [0, 1])
def test_a_device_that_the_user_names_is_kept(door, num_gpus):
    assert options_on_worker(door, {"device": "cuda:1"}, num_gpus=num_gpus) == {"device": "cuda:1"}


@pytest.mark.usefixtures("placed")
@pytest.mark.parametrize("name", ["dis-flow", "placed:make_any"])
def test_a_gpu_for_a_labeler_without_a_device_is_refused(name):
    with pytest.raises(ConfigError, match=f"labeler {name} runs on the CPU .*leave --num-gpus-per-worker away"):
        options_on_worker(name, {}, num_gpus=1)


def test_the_driver_makes_its_labeler_on_the_cpu():
    assert options_on_driver({"device": "cuda", "window": 5}) == {"device": "cpu", "window": 5}
    assert options_on_driver({"window": 5}) == {"window": 5}


@pytest.mark.parametrize("device", ["cuda:99", "warp-drive"])
def test_a_device_that_is_not_there_is_a_mistake_of_configuration(device):
    with pytest.raises(ConfigError, match=f"has no device '{device}'.*--num-gpus-per-worker"):
        check_device({"device": device})


def test_the_cpu_is_there_and_torch_is_not_loaded_to_find_out():
    program = (
        "import sys; from jobs.execution.threads import pin_threads; from jobs.labeling.compute import check_device; check_device({});"
        "check_device({'device': 'cpu'}); pin_threads(1); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert done.stdout.strip() == "False"


def cpus_used(threads: int) -> float:
    """CPU seconds per second of convolutions in a new thread, which pins itself to so many threads."""
    convolution, images, used = torch.nn.Conv2d(32, 32, 3), torch.rand(4, 32, 128, 128), []

    def work() -> None:
        pin_threads(threads)
        with torch.no_grad():
            convolution(images)
            cpu_s, wall_s = time.process_time(), time.perf_counter()
            for _ in range(12):
                convolution(images)
        used.append((time.process_time() - cpu_s) / (time.perf_counter() - wall_s))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return used[0]


def test_a_thread_that_pins_itself_uses_no_more_cores_than_granted():
    before = cv2.getNumThreads(), torch.get_num_threads()
    try:
        assert cpus_used(1) < 1.3
        assert cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(before[0])
        torch.set_num_threads(before[1])
