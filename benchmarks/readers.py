"""What other people's readers make of our clips: how many frames they report, and whether frame i is frame i when it is asked for.

The truth is `read_clip_frames`. Readers that are not installed, or do not load here, are reported as such.
"""

import importlib
import json
import multiprocessing
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import av
import cv2
import numpy as np
import typer
from material import machine, make_hevc

from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.sharding.job import ShardingConfig, make_shards
from pipeline.layout import committed
from pipeline.manifest import ManifestOptions
from pipeline.shards.index import ClipEntry, read_index, read_video
from pipeline.shards.policy import VIDEO_POLICIES, ClipPolicy
from pipeline.video.reader import read_clip_frames

NUM_ASKED = 12  # frames of a clip that are asked for by their numbers, spread evenly
NUM_SAMPLED = 8  # frames sampled evenly over the length that the reader reports, as loaders of training code do
SMALL = (160, 90)  # pixels: on which frames are told apart
ALIKE = 0.25  # grey levels: of two frames no further apart than this from what was read, it may be either
START_S, CLIP_S = 300, 60  # wall-clock: a reader that is not loaded after so long, or says nothing of a clip for so long, hangs
MOST_FAULTS = 2  # hangs and deaths, after which a reader gets no further clips of a mode
Show = Callable[[Sequence[int]], Iterator[np.ndarray]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A clip in the hands of a reader."""

    count: int  # frames that it reports
    show: Show  # increasing numbers -> RGB uint8 "H W 3"


@dataclass(slots=True)
class Asking:
    """What a reader showed of frames that it was asked for, in clips of one mode."""

    asked: int = 0
    wrong: int = 0  # another frame of the clip was shown
    clips_right: int = 0
    clips_wrong: int = 0
    clips_failed: int = 0
    first_wrong: str | None = None
    first_failure: str | None = None

    def add(self, other: "Asking") -> None:
        """What it showed of further clips."""
        for name in ("asked", "wrong", "clips_right", "clips_wrong", "clips_failed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.first_wrong = self.first_wrong or other.first_wrong
        self.first_failure = self.first_failure or other.first_failure


@dataclass(slots=True)
class Tally:
    """What a reader did with clips of one mode."""

    clips: int = 0
    true_frames: int = 0
    reported_frames: int = 0
    clips_counted_right: int = 0
    by_number: Asking = field(default_factory=Asking)  # frames asked for by their true numbers
    over_length: Asking = field(default_factory=Asking)  # frames sampled evenly over the length that the reader reports
    largest_deviation: float = 0.0  # mean absolute difference from the true frame in levels of RGB, over right frames asked for by number

    def add(self, other: "Tally") -> None:
        """What it did with further clips."""
        for name in ("clips", "true_frames", "reported_frames", "clips_counted_right"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.by_number.add(other.by_number)
        self.over_length.add(other.over_length)
        self.largest_deviation = max(self.largest_deviation, other.largest_deviation)


def main(
    videos: Annotated[Path, typer.Argument(help="Folder of videos (mp4).")],
    mode: Annotated[list[str] | None, typer.Option(help="copy, h264, auto; may be given several times.")] = None,
    clip_frames: int = 24,
    made: Annotated[bool, typer.Option(help="Also HEVC videos with open groups and a key frame every 240 and every 30 frames.")] = True,
    folder: Annotated[Path, typer.Option(help="Where the made videos are kept.")] = Path("out/bench"),
) -> None:
    """Print one JSON document, with the table as lines of Markdown in it."""
    groups = {"folder": sorted(videos.glob("*.mp4"))} if any(videos.glob("*.mp4")) else {}
    if made:
        groups |= {f"HEVC, {key}": [make_hevc(folder, num_frames=frames, key_every=key)] for key, frames in ((240, 600), (30, 240))}
    modes = tuple(mode or VIDEO_POLICIES)
    readers, absent = present()
    found: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
    for group, sources in groups.items():
        for each in modes:
            tallies = read_all(sources, each, clip_frames, readers)
            for name, tally in tallies.items():
                found.setdefault(group, {}).setdefault(name, {})[each] = document(tally)
    result = {
        "what": f"readers of clips of {clip_frames} frames: {', '.join(str(path.name) for paths in groups.values() for path in paths)}",
        "versions": {package: installed(package) for package in PACKAGES},
        "absent": absent,
        "found": found,
        "table": table(found, absent, modes),
        "machine": machine(),
    }
    print(json.dumps(result, indent=1))


def read_all(sources: Sequence[Path], mode: str, clip_frames: int, readers: Sequence[str]) -> dict[str, Tally]:
    """Cut the sources and give every clip to every reader."""
    with TemporaryDirectory() as root:
        config = ShardingConfig(
            inputs=tuple(map(str, sources)),
            root=root,
            preset="auto",
            manifest=ManifestOptions(),
            policy=ClipPolicy(video=mode, clip_frames=clip_frames),
            executor=Executor(name="inline", limits=Limits()),
        )
        make_shards(config, dry_run=False)
        return {name: read_by(name, root) for name in readers}


def clips(root: str) -> list[ClipEntry]:
    """All clips of a dataset. Raises ValueError if one was not cut."""
    entries = [entry for shard in sorted(committed(f"{root}/shards")) for entry in read_index(root, shard)]
    if any(entry.record is None for entry in entries):
        raise ValueError(f"clips were not cut: {[entry.key for entry in entries if entry.record is None]}")
    return entries


def read_by(name: str, root: str) -> Tally:
    """Give every clip to one reader, in a process of its own: one that hangs or dies costs the clip."""
    keys, spawning, total, faults = [entry.key for entry in clips(root)], multiprocessing.get_context("spawn"), Tally(), 0
    while total.clips < len(keys):
        if faults == MOST_FAULTS:
            total.add(lost(keys[total.clips], "not tried any more"))
            continue
        receiver, sender = spawning.Pipe(duplex=False)
        process = spawning.Process(target=work, args=(sender, name, root, total.clips), daemon=True)
        process.start()
        sender.close()
        limit_s = START_S
        while total.clips < len(keys):
            fault = "hangs" if not receiver.poll(limit_s) else None
            try:
                said = receiver.recv() if fault is None else lost(keys[total.clips], fault)
                limit_s = CLIP_S
                total.add(said or Tally())
            except EOFError:
                fault = "the process dies"
                total.add(lost(keys[total.clips], fault))
            if fault is not None:
                faults += 1
                break
        process.kill()
        process.join()
    return total


def lost(key: str, fault: str) -> Tally:
    asking = Asking(clips_failed=1, first_failure=f"{key}: {fault}")
    return Tally(clips=1, by_number=asking, over_length=replace(asking))


def work(sender: Connection, name: str, root: str, start: int) -> None:
    """In the reader's process: None when it is loaded, then one Tally for each clip from `start` on."""
    _, opener, modules = READERS[name]
    for module in modules.split(", "):
        importlib.import_module(module)
    sender.send(None)
    with TemporaryDirectory() as folder:
        for entry in clips(root)[start:]:
            data, tally = read_video(root, entry), Tally()
            if entry.record is None or not isinstance(data, bytes):
                raise ValueError(f"clip {entry.key} holds no video")
            path = f"{folder}/{entry.key}.mp4"
            Path(path).write_bytes(data)
            judge(tally, entry.key, read_clip_frames(data, entry.record), path, opener)
            sender.send(tally)
            Path(path).unlink()


def judge(tally: Tally, key: str, truth: np.ndarray, path: str, opener: Callable[[str], Opened]) -> None:
    """Give one clip to one reader, and add what it did."""
    small = np.stack([shrunk(frame) for frame in truth])
    tally.clips, tally.true_frames = tally.clips + 1, tally.true_frames + len(truth)
    count = None
    for asking, num_asked in ((tally.by_number, min(NUM_ASKED, len(truth))), (tally.over_length, NUM_SAMPLED)):
        expected = even(len(truth), num_asked)
        try:
            opened = opener(path)
            count, numbers = opened.count, expected if asking is tally.by_number else even(opened.count, num_asked)
            shown = list(opened.show(numbers))
        except Exception as error:  # noqa: BLE001  a foreign reader may fail in any way
            asking.clips_failed += 1
            words = (str(error).splitlines() or [""])[0]
            asking.first_failure = asking.first_failure or f"{key}: {type(error).__name__}: {words}"
            continue
        compare(asking, f"{key}: {count} frames reported of {len(truth)}; asked for {numbers}", shown, expected, small)
        if asking is tally.by_number:
            off = [deviation(frame, truth[number]) for frame, number in zip(shown, expected, strict=True) if right(frame, number, small)]
            tally.largest_deviation = max([tally.largest_deviation, *off])
    tally.reported_frames += count or 0
    tally.clips_counted_right += count == len(truth)


def compare(asking: Asking, what: str, shown: Sequence[np.ndarray], expected: Sequence[int], small: np.ndarray) -> None:
    """Add one clip: are these the frames that were expected?"""
    wrong = sum(not right(frame, number, small) for frame, number in zip(shown, expected, strict=True))
    asking.asked, asking.wrong = asking.asked + len(shown), asking.wrong + wrong
    asking.clips_right += not wrong
    asking.clips_wrong += bool(wrong)
    if wrong and asking.first_wrong is None:
        asking.first_wrong = f"{what}, meant {list(expected)}, shown {[int(distances(frame, small).argmin()) for frame in shown]}"


def even(length: int, count: int) -> list[int]:
    """So many numbers below a length, evenly spread, both ends among them; a short length repeats some."""
    return [int(number) for number in np.rint(np.linspace(0, length - 1, count))]


def shrunk(frame: np.ndarray) -> np.ndarray:
    return cv2.resize(frame, SMALL, interpolation=cv2.INTER_AREA).astype(np.float32)


def distances(frame: np.ndarray, small: np.ndarray) -> np.ndarray:
    """Of what was read from every frame of the clip."""
    return np.abs(small - shrunk(frame)).mean(axis=(1, 2, 3))


def right(frame: np.ndarray, number: int, small: np.ndarray) -> bool:
    found = distances(frame, small)
    return bool(found[number] <= found.min() + ALIKE)


def deviation(frame: np.ndarray, truth: np.ndarray) -> float:
    same = frame.shape == truth.shape
    return float(cv2.absdiff(frame, truth).mean()) if same else float(np.abs(shrunk(frame) - shrunk(truth)).mean())


def pyav(path: str) -> Opened:
    def show(numbers: Sequence[int]) -> Iterator[np.ndarray]:
        with av.open(path) as container:
            decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        yield from (decoded[number] for number in numbers)

    with av.open(path) as container:
        return Opened(count=container.streams.video[0].frames, show=show)


def opencv_in_order(path: str) -> Opened:
    def show(numbers: Sequence[int]) -> Iterator[np.ndarray]:
        capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
        decoded = []
        while True:
            read, picture = capture.read()
            if not read:
                break
            decoded.append(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
        yield from (decoded[number] for number in numbers)

    return Opened(count=int(cv2.VideoCapture(path, cv2.CAP_FFMPEG).get(cv2.CAP_PROP_FRAME_COUNT)), show=show)


def opencv_by_number(path: str) -> Opened:
    def show(numbers: Sequence[int]) -> Iterator[np.ndarray]:
        capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
        for number in numbers:
            capture.set(cv2.CAP_PROP_POS_FRAMES, number)
            read, picture = capture.read()
            if not read:
                raise ValueError(f"frame {number} is not read")
            yield cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)

    return Opened(count=opencv_in_order(path).count, show=show)


def decord(path: str) -> Opened:
    import decord as package

    reader = package.VideoReader(path, ctx=package.cpu(0))
    return Opened(count=len(reader), show=lambda numbers: iter(reader.get_batch(list(numbers)).asnumpy()))


def torchcodec(path: str, seek_mode: str = "exact") -> Opened:
    from torchcodec.decoders import VideoDecoder

    decoder = VideoDecoder(path, seek_mode=seek_mode)
    return Opened(count=len(decoder), show=lambda numbers: (decoder[number].permute(1, 2, 0).numpy() for number in numbers))


def torchcodec_approximate(path: str) -> Opened:
    return torchcodec(path, "approximate")


def hugging_face(path: str) -> Opened:
    from datasets import Dataset, Features, Video

    decoder = Dataset.from_dict({"video": [path]}, features=Features({"video": Video()}))[0]["video"]
    return Opened(count=len(decoder), show=lambda numbers: (decoder[number].permute(1, 2, 0).numpy() for number in numbers))


READERS: dict[str, tuple[str, Callable[[str], Opened], str]] = {  # name -> package, opener, what must load
    "PyAV": ("av", pyav, "av"),
    "OpenCV, in order": ("opencv-python-headless", opencv_in_order, "cv2"),
    "OpenCV, by number": ("opencv-python-headless", opencv_by_number, "cv2"),
    "decord2": ("decord2", decord, "decord"),
    "torchcodec, exact": ("torchcodec", torchcodec, "torchcodec.decoders"),
    "torchcodec, approximate": ("torchcodec", torchcodec_approximate, "torchcodec.decoders"),
    "Hugging Face datasets": ("datasets", hugging_face, "datasets, torchcodec.decoders"),
}
PACKAGES = ("av", "opencv-python-headless", "decord2", "torchcodec", "datasets", "torch")


def present() -> tuple[list[str], dict[str, str]]:
    """The readers that load here, and why others do not."""
    readers, absent = [], {}
    for name, (package, _, module) in READERS.items():
        if installed(package) is None:
            absent[name] = "not installed"
            continue
        loaded = subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True, text=True, check=False)
        if loaded.returncode:
            lines = [line for line in loaded.stderr.splitlines() if "Error" in line]
            absent[name] = f"does not load: {lines[0].strip() if lines else loaded.returncode}"
        else:
            readers.append(name)
    return readers, absent


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def document(tally: Tally) -> dict[str, Any]:
    return asdict(tally) | {"largest_deviation": round(tally.largest_deviation, 2)}


def table(found: dict[str, dict[str, dict[str, dict[str, Any]]]], absent: dict[str, str], modes: Sequence[str]) -> list[str]:
    """Lines of Markdown: for each reader, clips counted right / right by number / right over its length."""
    lines = []
    for group, readers in found.items():
        clips = [next(iter(readers.values()))[mode]["clips"] for mode in modes]
        heads = [f"{mode}, {count} clips" for mode, count in zip(modes, clips, strict=True)]
        lines += [f"| {group} | {' | '.join(heads)} |", "|---" * (len(modes) + 1) + "|"]
        for name, of_modes in readers.items():
            lines.append(f"| {name} | {' | '.join(_cell(of_modes[mode]) for mode in modes)} |")
        lines += [f"| {name} | {' | '.join([why] * len(modes))} |" for name, why in absent.items()]
    return lines


def _cell(tally: dict[str, Any]) -> str:
    by_number, over_length = tally["by_number"], tally["over_length"]
    counts = [tally["clips_counted_right"], by_number["clips_right"], over_length["clips_right"]]
    failed = max(by_number["clips_failed"], over_length["clips_failed"])
    fails = f", {failed} fail" if failed else ""
    return f"{' / '.join(str(number) for number in counts)}{fails}, deviation {tally['largest_deviation']:.1f}"


if __name__ == "__main__":
    typer.run(main)
