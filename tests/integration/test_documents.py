"""What the documents show is run: the code that reads our files without us, and the commands of the README."""

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
import typer
import webdataset
from typer.testing import CliRunner

from jobs.trackmill import app as trackmill_app
from jobs.trackmill import load_command
from pipeline.labels import read_labels
from pipeline.stream import join_labels

REPO = Path(__file__).parents[2]


def blocks(document: str, language: str) -> list[str]:
    """Fenced code of one language."""
    return re.findall(rf"```{language}\n(.*?)```", (REPO / document).read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, run_job):
    """(root, label set) of one labelled and audited clip."""
    import av

    folder = tmp_path_factory.mktemp("documents")
    rng = np.random.default_rng(0)
    picture = np.kron(rng.integers(0, 255, (20, 30, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    with av.open(str(folder / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for index in range(12):
            frame = np.ascontiguousarray(picture[index : index + 96, index : index + 160])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    root = folder / "root"
    run_job("shard.py", folder / "a.mp4", "--root", root, "--executor", "inline")
    done = run_job("pseudolabel.py", "--root", root, "--labeler", "dis-flow", "--queries", 144, "--executor", "inline")
    label_set = done.stdout.splitlines()[-1]
    run_job("audit.py", "run", "--root", root, "--labels", label_set, "--executor", "inline")
    return root, label_set


def filled(code: str, dataset) -> str:
    root, label_set = dataset
    return (
        code.replace("ROOT", str(root))
        .replace("LABELSET", label_set)
        .replace("AUDIT", label_set)
        .replace("{000000..000041}", "{000000..000000}")
    )


def run_code(code: str, **given: Any) -> dict[str, Any]:
    """The names that a document's code leaves behind, run here; what has to do without us runs in a process of its own."""
    names: dict[str, Any] = {"wds": webdataset, **given}
    exec(code, names)
    return names


def test_labels_are_read_with_pyarrow_alone(dataset):
    code = filled(blocks("docs/formats.md", "python")[0], dataset)
    check = "import sys; assert not {'pipeline', 'labelers', 'jobs'} & set(sys.modules); print(x[7][3])"
    shown = subprocess.run([sys.executable, "-c", f"{code}\n{check}"], capture_output=True, text=True, check=True, cwd="/").stdout
    ((_, labels),) = read_labels(*dataset)
    assert float(shown) == float(labels.tracks_px[3, 7, 0])


def test_labels_are_read_with_duckdb_alone(dataset):
    (row,) = duckdb.sql(filled(blocks("docs/formats.md", "sql")[0], dataset)).fetchall()
    ((key, labels),) = read_labels(*dataset)
    assert row[0] == key
    np.testing.assert_array_equal([float(row[1]), float(row[2])], labels.tracks_px[3, 7])


def test_clips_are_read_with_webdataset_alone(dataset):
    code = filled(blocks("docs/formats.md", "python")[1], dataset)
    check = "import sys; assert 'pipeline' not in sys.modules; print(sample['__key__'], len(sample['mp4']))"
    shown = subprocess.run([sys.executable, "-c", f"{code}\n{check}"], capture_output=True, text=True, check=True, cwd="/").stdout
    assert re.fullmatch(r"a-[0-9a-f]{8}-w0000 \d{3,}\n", shown)


def test_labels_are_joined_in_a_webdataset_pipeline(dataset):
    names = run_code(filled(blocks("docs/formats.md", "python")[2], dataset), urls=f"{dataset[0]}/shards/000000.tar")
    assert next(iter(names["dataset"]))["labels.tracks_px"].shape == (12, 144, 2)


def test_the_audit_is_read_with_duckdb_and_pyarrow_alone(dataset):
    reasons, trusted = (duckdb.sql(filled(code, dataset)).fetchall() for code in blocks("docs/formats.md", "sql")[1:3])
    ((key, labels),) = read_labels(*dataset)
    ((found, count, num_tracks),) = trusted
    assert (found, num_tracks) == (key, 144)
    assert 0 < count <= 144
    assert all(verdict == "keep" for verdict, *_ in reasons)
    code = filled(blocks("docs/formats.md", "python")[3], dataset)
    check = "import sys; assert 'pipeline' not in sys.modules; print(likeness[7][0])"
    shown = subprocess.run([sys.executable, "-c", f"{code}\n{check}"], capture_output=True, text=True, check=True, cwd="/").stdout
    assert float(shown) == pytest.approx(1.0, abs=0.01)  # a query's patch is like itself
    assert labels.visibility[0, 7]


def test_weights_are_joined_in_a_webdataset_pipeline(dataset):
    names = run_code(
        filled(blocks("docs/formats.md", "python")[4], dataset), urls=f"{dataset[0]}/shards/000000.tar", join_labels=join_labels
    )
    sample = next(iter(names["kept"]))
    assert (sample["labels.weight"].shape, sample["labels.frame_weights"].shape) == ((144,), (12, 144))


def test_the_webdataset_pipeline_runs(dataset):
    sample = run_code(filled(blocks("docs/formats.md", "python")[-1], dataset))["sample"]
    assert (sample["labels.tracks_px"].shape, sample["labels.weight"].shape) == ((12, 144, 2), (144,))
    assert len(sample["json"]["timestamps"]) == 12


def test_errors_are_queried_as_documented(tmp_path, run_job):
    (tmp_path / "broken.mp4").write_text("no video")
    run_job("shard.py", tmp_path / "broken.mp4", "--root", tmp_path / "root", "--executor", "inline", code=3)
    ((stage, source, message),) = duckdb.sql(blocks("docs/resuming.md", "sql")[0].replace("ROOT", str(tmp_path / "root"))).fetchall()
    assert (stage, source) == ("probe", "broken.mp4")
    assert "drop it" in message


def test_the_readmes_stream_runs(dataset):
    root, label_set = dataset
    code = blocks("README.md", "python")[0].replace("/data/walks", str(root)).replace("dis-flow-1a2b3c4d", label_set)
    code = code.replace("num_frames=24", "num_frames=8").replace("world_size=8", "world_size=1, epochs=1").replace("(288, 512)", "(48, 80)")
    names = run_code(code)
    sample = names["sample"]
    assert (sample.frames.shape, sample.tracks2d.shape, sample.frame_weights.shape) == ((8, 48, 80, 3), (8, 144, 2), (8, 144))
    assert (sample.visibility.dtype, names["state"]["index"]) == (bool, 1)


PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (REPO / "docs").glob("*.md") if path.name != "benchmarks.md")]


def lines_of(document: str) -> list[list[str]]:
    """Words of the command lines of ours in a document's shell blocks; lines that leave something out (…) are not among them."""
    whole = [line for code in blocks(document, "bash") for line in code.replace("\\\n", " ").splitlines()]
    found = [shlex.split(line, comments=True) for line in whole if "…" not in line]
    called = [words[words.index("--") + 1 :] if words[:3] == ["ray", "job", "submit"] else words for words in found]
    return [words for words in called if words and (words[0] == "trackmill" or any(word.startswith("jobs/") for word in words[:2]))]


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command of such a line, and its arguments."""
    if words[0] == "trackmill":
        command, arguments = load_command(words[1]), words[2:]
    else:
        command, arguments = typer.main.get_command(importlib.import_module(f"jobs.{Path(words[1]).stem}").app), words[2:]
    if hasattr(command, "commands"):
        command, arguments = command.commands[arguments[0]], arguments[1:]
    return command, arguments


LEAST_LINES = {"README.md": 14, "docs/command.md": 2, "docs/audit.md": 6, "docs/export.md": 4}  # so that none is overlooked


@pytest.mark.parametrize("page", PAGES)
def test_every_command_line_in_the_documents_is_understood(page):
    lines = lines_of(page)
    assert len(lines) >= LEAST_LINES.get(page, 0)
    for words in lines:
        command, arguments = command_of(words)
        command.make_context(words[1], arguments)  # raises where a name, a value or something required is wrong


def test_every_option_in_the_documents_exists():
    """Words like --clip-frames in README and docs are options of some command, or of the tools that the pages speak of."""
    known = {"--help", "--logdir", "--import_path", "--image_path", "--working-dir", "--address", "--runtime-env", "--no-deps", "--head"}
    known |= {"--url_list", "--clip_col", "--output_format"}  # of video2dataset
    known |= {"--consensus"}  # of benchmarks/audit_calibration.py
    for job in sorted(path.stem for path in (REPO / "jobs").glob("[a-z]*.py")):
        app = getattr(importlib.import_module(f"jobs.{job}"), "app", None)
        known |= options_of(typer.main.get_command(app)) if isinstance(app, typer.Typer) else set()
    used = {option for page in PAGES for option in re.findall(r"(?<![\w-])(--[a-z][a-z0-9_-]+)", (REPO / page).read_text())}
    assert used <= known, used - known


def options_of(command: Any) -> set[str]:
    """All option names of a command and of the commands below it."""
    below = getattr(command, "commands", {}).values()
    own = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return own.union(*map(options_of, below))


SMALLER = {  # what a test of minutes cannot wait for: arguments that are added to the printed ones
    "run": ["--clip-frames", "24", "--executor", "inline"],
    "synthesize": ["--clip-frames", "12", "--height", "90", "--width", "160", "--queries", "64", "--executor", "inline"],
    "train": [
        part
        for change in ("steps=2", "data.num_tracks=16", "data.labelled_clips=2", "data.pseudo_clips=1", "loader_workers=0")
        for part in ("--set", change)
    ],
    "infer": ["--limit", "6"],
    "evaluate": ["--limit", "1"],
}


def test_the_readmes_way_from_videos_to_training_runs(tmp_path, monkeypatch):
    """The commands of that section in their order, on one small video and two rendered clips."""
    (tmp_path / "videos").mkdir()
    write_moving_video(tmp_path / "videos" / "walk.mp4")
    monkeypatch.chdir(tmp_path)
    section = (REPO / "README.md").read_text().split("## From videos to training")[1].split("\n## ")[0]
    places = {
        "/data/": f"{tmp_path}/",
        "~/videos": str(tmp_path / "videos"),
        " walk.mp4": " videos/walk.mp4",
        "--num-clips 24": "--num-clips 2",
    }
    places |= {"00000400": "00000002"}
    shown = []
    for line in "\n".join(re.findall(r"```bash\n(.*?)```", section, re.DOTALL)).splitlines():
        for printed, here in places.items():
            line = line.replace(printed, here)
        words = shlex.split(line, comments=True)
        if words[:1] != ["trackmill"]:
            continue
        command, arguments = command_of(words)
        done = CliRunner().invoke(trackmill_app, [*words[1:], *SMALLER.get(words[1], [])])
        assert done.exit_code == 0, f"{line}\n{done.output}\n{done.exception!r}"
        shown.append(words[1])
        if words[1] == "run":
            places["dis-flow-1a2b3c4d"] = re.search(r"dis-flow-[0-9a-f]{8}", done.output)[0]
    assert shown == ["run", "status", "synthesize", "train", "infer", "evaluate"]
    assert (tmp_path / "result" / "predictions.npz").exists()
    assert (tmp_path / "report" / "model_evaluation.json").exists()


def write_moving_video(path: Path) -> None:
    """24 frames of a textured picture that moves."""
    import av

    rng = np.random.default_rng(0)
    picture = np.kron(rng.integers(0, 255, (40, 60, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 320, 192, "yuv420p"
        for index in range(24):
            frame = np.ascontiguousarray(picture[index : index + 192, 2 * index : 2 * index + 320])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


def test_the_api_page_runs_from_top_to_bottom(dataset, monkeypatch):
    monkeypatch.chdir(REPO)
    names: dict[str, Any] = {}
    for code in blocks("docs/api.md", "python"):
        exec(filled(code, dataset), names)
    assert names["sample"].track_weights.shape == (144,)
    assert names["labels"].tracks_px.shape == (12, 144, 2)
    assert names["found"].tracks_px.shape == (6, 16, 2)
    assert names["prediction"].points.shape == (6, 56, 84, 3)
    assert names["config"].steps == 10
    assert names["scores"].average_jaccard == 1


def test_every_name_of_the_api_page_s_table_is_there():
    table = (REPO / "docs/api.md").read_text().split("## ")[0]
    places = re.findall(r"^\| `([\w.]+)`", table, re.MULTILINE)
    assert len(places) > 8
    for place in places:
        module, _, name = place.rpartition(".")
        assert hasattr(importlib.import_module(module), name) or importlib.import_module(place)
