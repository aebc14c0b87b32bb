"""What the way back costs (jobs/pseudolabel.py --cycle): CPU seconds of labelling one clip with it and without."""

import json
import time
from functools import partial
from typing import Annotated

import cv2
import numpy as np
import typer
from material import machine, paired

from jobs.labeling.batch import label_batch, label_there_and_back
from labelers import QueryPolicy, choose_queries, make_labeler
from pipeline.records import ClipFrames, FramesInMemory

NUM_FRAMES, HEIGHT, WIDTH = 48, 288, 512


def main(
    labelers: Annotated[list[str] | None, typer.Argument(help="Names.")] = None,
    queries: int = 256,
    repeats: int = 3,
) -> None:
    """Print one JSON."""
    cv2.setNumThreads(1)
    clip = moving_clip(queries)
    result: dict[str, object] = {
        "what": f"{NUM_FRAMES} frames of {WIDTH}x{HEIGHT}, {queries} queries: CPU seconds with and without --cycle"
    }
    for name in labelers or ["dis-flow", "lucas-kanade"]:
        labeler = make_labeler(name)
        without, within = (partial(each, labeler, name, [clip]) for each in (label_batch, label_there_and_back))
        figures = paired(without, within, repeats=repeats, clock=time.process_time)
        result[name] = {
            "without_s": figures["ours_s"],
            "with_s": figures["theirs_s"],
            "ratio": figures["speed_of_ours_over_theirs"],
            "lowest_ratio": figures["lowest_ratio"],
            "highest_ratio": figures["highest_ratio"],
        }
    print(json.dumps({**result, "machine": machine()}, indent=1))


def moving_clip(num_queries: int) -> ClipFrames:
    """A textured picture that drifts and turns."""
    rng = np.random.default_rng(0)
    size = (2 * WIDTH, 2 * HEIGHT)
    coarse, fine = (cv2.resize(rng.random((HEIGHT // step, WIDTH // step, 3), np.float32), size) for step in (32, 4))
    picture = (255 * (0.6 * coarse + 0.4 * fine)).astype(np.uint8)
    frames = np.empty((NUM_FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    for index in range(NUM_FRAMES):
        turn = cv2.getRotationMatrix2D((WIDTH, HEIGHT), 0.1 * index, 1.0)
        turn[:, 2] -= (WIDTH / 2 + 1.5 * index, HEIGHT / 2)
        frames[index] = cv2.warpAffine(picture, turn, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
    reader = FramesInMemory(frames)
    return ClipFrames(key="moving-w0000", reader=reader, queries=choose_queries(reader, QueryPolicy(num_queries=num_queries), key="moving"))


if __name__ == "__main__":
    typer.run(main)
