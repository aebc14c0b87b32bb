"""Metric, synthetic and pseudo-labelled clips in one stream, as training takes them."""

import re
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from pipeline.stream import MixtureConfig, MixtureStream, StreamConfig

SIZE = ("--clip-frames", 12, "--height", 48, "--width", 64, "--queries", 40, "--seed", 5, "--executor", "inline")


@pytest.fixture(scope="module")
def parts(tmp_path_factory, run_job, write_kubric):
    folder = tmp_path_factory.mktemp("mixture")
    for seed in range(2):
        write_kubric(folder / "download" / f"{seed:04d}", seed)
    run_job("convert.py", "kubric", folder / "download", "--root", folder / "kubric", "--clip-frames", 12, "--executor", "inline")
    for domain in ("studio", "wild"):
        run_job("synthesize.py", "--root", folder / domain, "--domain", domain, "--num-clips", 2, *SIZE)
    labels = run_job("pseudolabel.py", "--root", folder / "wild", "--labeler", "dis-flow", "--queries", 16, "--executor", "inline")
    label_set = labels.stdout.splitlines()[-1]
    window = {"num_frames": 4, "size": (48, 64)}
    return (
        (StreamConfig(root=str(folder / "kubric"), **window), 0.3),
        (StreamConfig(root=str(folder / "studio"), **window), 0.3),
        (StreamConfig(root=str(folder / "wild"), labels=label_set, **window), 0.4),
    )


def test_proportions_hold_within_one_percent_and_every_sample_says_how_it_is_supervised(parts):
    samples = islice(MixtureStream(MixtureConfig(parts=parts)), 500)
    counts = Counter((sample.dataset, sample.supervision, sample.depth is None, sample.confidence is None) for sample in samples)
    shares = {key: count / 500 for key, count in counts.items()}
    assert shares.keys() == {("kubric", "metric", False, True), ("studio", "metric", False, True), ("wild", "pseudo", True, False)}
    for (dataset, *_), share in shares.items():
        assert share == pytest.approx({"kubric": 0.3, "studio": 0.3, "wild": 0.4}[dataset], abs=0.01)


def test_the_readme_s_mixture_runs(parts):
    code = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[2] / "README.md").read_text(), re.DOTALL)[1]
    for shown, here in (
        ("/data/studio", parts[1][0].root),
        ("/data/walks", parts[2][0].root),
        ("dis-flow-1a2b3c4d", parts[2][0].labels),
        ("    sample.dataset", "    seen = sample.dataset"),
    ):
        assert shown in code
        code = code.replace(shown, here)
    names = {"StreamConfig": StreamConfig}
    exec(code + "    break\n", names)
    assert names["seen"] in (("studio", "metric"), ("wild", "pseudo"))  # wild's truth is for evaluation, and stays on disk
