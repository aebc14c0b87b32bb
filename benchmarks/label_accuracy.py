"""How far the classical labelers are from the truth on plane-layer clips: AJ, delta_avg and OA in percent, and seconds per clip."""

import json
import time
from typing import Annotated

import cv2
import numpy as np
import typer
from material import machine

from labelers import Labeler, QueryPolicy, choose_queries, make_labeler
from pipeline.metrics import tapvid_from_labels
from pipeline.records import ClipFrames, FramesInMemory
from pipeline.synthetic.planes import PlaneLayerClip, make_clip


def main(
    labelers: Annotated[str, typer.Option(help="Names, separated by commas.")] = "dis-flow,lucas-kanade",
    num_clips: Annotated[int, typer.Option(help="Clips 0, 1, ... of the suite; 12 are the suite.")] = 12,
    queries: Annotated[int, typer.Option(help="Points per clip, on a grid of the first frame.")] = 432,
    threads: Annotated[int, typer.Option(help="Of OpenCV.")] = 1,
) -> None:
    """Print one JSON."""
    cv2.setNumThreads(threads)
    clips = [make_clip(index) for index in range(num_clips)]
    policy = QueryPolicy(policy="grid", num_queries=queries, num_query_frames=1)
    results = {name: measure(make_labeler(name), clips, policy) for name in labelers.split(",")}
    what = (
        f"TAP-Vid metrics (first, 256 x 256) in percent, means over {num_clips} plane-layer clips of 48 frames, 240x320; {queries} queries"
    )
    print(json.dumps({"what": what, "results": results, "machine": machine()}, indent=1))


def measure(labeler: Labeler, clips: list[PlaneLayerClip], policy: QueryPolicy) -> dict[str, object]:
    """Means over the clips, and of the two kinds of world apart."""
    rows, seconds = [], 0.0
    for clip in clips:
        reader = FramesInMemory(clip.frames)
        frames = ClipFrames(key=clip.key, reader=reader, queries=choose_queries(reader, policy, key=clip.key))
        started = time.perf_counter()
        labels = labeler.label([frames])[0]
        seconds += time.perf_counter() - started
        tracks, visibility = clip.truth(labels.queries)
        found = tapvid_from_labels(labels, tracks, visibility, height=reader.shape[1], width=reader.shape[2])
        rows.append([float(value) for value in (found.average_jaccard, found.average_pts_within_thresh, found.occlusion_accuracy)])
    table = 100 * np.array(rows)
    parts = {"all": table, "homography": table[::2], "parallax": table[1::2]}
    means = {
        part: dict(zip(("AJ", "delta_avg", "OA"), chosen.mean(axis=0).round(1).tolist(), strict=True)) for part, chosen in parts.items()
    }
    return {**means, "seconds_per_clip": round(seconds / len(clips), 2)}


if __name__ == "__main__":
    typer.run(main)
