"""Meter of steps: parts that come several times, and operations that are counted once for each shape."""

import time

import pytest
import torch

from trainer.loop.metering import StepMeter

CPU = torch.device("cpu")


def test_parts_add_up() -> None:
    meter = StepMeter(CPU)
    meter.begin()
    for part in ("forward", "backward", "forward"):
        with meter.timing(part):
            time.sleep(0.01)
    parts = meter.read().parts_s
    assert list(parts) == ["forward", "backward"]
    assert parts["forward"] >= 0.02
    meter.begin()
    assert meter.read().parts_s == {}


def test_operations_are_counted_once_for_each_shape_and_remembered() -> None:
    meter = StepMeter(CPU)

    def step(shape: int | None, size: int) -> float | None:
        meter.begin(shape)
        weight = torch.ones(size, size, requires_grad=True)
        with meter.timing("forward"):
            total = (torch.ones(size, size) @ weight).sum()
        with meter.timing("backward"):
            total.backward()
        with meter.timing("optimiser"):
            torch.ones(size, size) @ torch.ones(size, size)
        return meter.read().tflops

    assert step(None, 4) is None
    meter.begin(10)
    with meter.timing("forward"):
        torch.ones(10, 10) @ torch.ones(10, 10)
    assert meter.read().tflops is None  # nothing went backward
    assert step(10, 10) == pytest.approx(2 * 2 * 10**3 / 1e12)
    assert step(20, 20) == pytest.approx(2 * 2 * 20**3 / 1e12)
    assert step(10, 5) == pytest.approx(2 * 2 * 10**3 / 1e12)  # by its shape, which is told


def test_the_process_has_memory() -> None:
    meter = StepMeter(CPU)
    meter.begin()
    before = meter.read().peak_memory_mb
    held = torch.ones(200, 1024, 1024, dtype=torch.uint8)
    after = meter.read().peak_memory_mb
    assert before is not None
    assert after is not None
    assert held.nbytes / 1024**2 == 200
    assert before < after < before + 400
