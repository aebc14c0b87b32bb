"""Videos of a root, inferred with adapted weights; those that are done already are left as they are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from jobs.adapting.config import AdaptConfig
from jobs.inferring.config import DOCUMENT, InferenceConfig
from jobs.inferring.frames import FrameRequest
from jobs.inferring.job import infer
from networks.weights import read_weights
from pipeline import storage
from pipeline.layout import Layout
from pipeline.shards.plan import read_plan_columns
from pipeline.shards.source_roots import read_source_roots
from pipeline.tables import read_document

FOLDER = "inferred"


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceVideo:
    """A video that clips of a root were cut from."""

    name: str  # as keys of its clips begin
    uri: str


@dataclass(frozen=True, kw_only=True, slots=True)
class InferredVideo:
    """Results for one video."""

    name: str
    folder: str
    num_frames: int
    cameras_not_found: int  # frames
    fits_cameras: bool  # some pinhole camera sees the points of each frame
    before: bool  # it was there, made with the same weights


def infer_videos(config: AdaptConfig, weights: str, reconstruction: str | None) -> tuple[Sequence[InferredVideo], int]:
    """Infer the first `infer_videos` of a root, those that were named now before all others. Gives results, and how many videos there are.

    Args:
        reconstruction: weights of points and cameras; None: the same as of the tracks.
    Raises: ConfigError for a video that is not there any more; DataError for one that does not decode.
    """
    videos = videos_of(config.run.root, config.run.inputs)
    sha256 = read_weights(weights).sha256
    chosen = videos[: config.infer_videos]
    return [_infer(config, video, weights, sha256, reconstruction) for video in chosen], len(videos)


def videos_of(root: str, first: Sequence[str] = ()) -> list[SourceVideo]:
    """Videos of a root in the order of its plan; none where its clips were not cut from videos (registered tars, converted datasets).

    Args:
        first: files and folders whose videos come before all others.
    """
    root = storage.absolute(root)
    if read_document(Layout(root).dataset, "dataset").get("kind") != "cut":
        return []
    roots, named = read_source_roots(root), [storage.absolute(given) for given in first]
    found: dict[str, SourceVideo] = {}
    for row in read_plan_columns(root, ["key", "source_uri"]).to_pylist():
        if row["source_uri"] not in found:
            uri = storage.unescape_name(roots.resolve(row["source_uri"]))
            found[row["source_uri"]] = SourceVideo(name=row["key"].rpartition("-w")[0], uri=uri)
    return sorted(found.values(), key=lambda video: not any(video.uri == name or video.uri.startswith(f"{name}/") for name in named))


def _infer(config: AdaptConfig, video: SourceVideo, weights: str, sha256: str, reconstruction: str | None) -> InferredVideo:
    folder = storage.join(config.out, FOLDER, video.name)
    uri = storage.join(storage.absolute(folder), DOCUMENT)
    before = storage.exists(uri) and _is_of(read_document(uri, "inference"), sha256, config.infer_frames)
    if not before:
        request = FrameRequest(at_most=config.infer_frames)
        asked = InferenceConfig(source=video.uri, checkpoint=weights, out=folder, request=request, device=config.device)
        infer(replace(asked, reconstruction=reconstruction))
    document = read_document(uri, "inference")
    return InferredVideo(
        name=video.name,
        folder=folder,
        num_frames=document["frames"]["count"],
        cameras_not_found=len(document.get("cameras_not_found", ())),
        fits_cameras=document["fitted_focal_px"] is not None,
        before=before,
    )


def _is_of(document: dict[str, Any], sha256: str, at_most: int | None) -> bool:
    """Whether an inference was made with these weights, of as many frames."""
    return bool(document["checkpoint"]["sha256"] == sha256 and document["frames"]["at_most"] == at_most)
