"""A model measured on the clips of a dataset: its prediction on frames of the asked size, against all that is known of the clip."""

from networks import model_name
from networks.building import Network
from networks.inputs import fitted_size, resize_frames
from networks.layers.computing import ForwardPrecision
from pipeline.records import ClipSample
from pipeline.stream import StreamConfig
from trainer.evaluation.clip_scores import TRACKING, ClipScores, EvaluationSettings, lacks_truth, measure_clip
from trainer.evaluation.truth_metrics import choose_tracks, known_geometry
from trainer.families import family_of
from trainer.inference import predict

NO_TRUTH = "no poses, depth or tracks in space"
NO_GEOMETRY = "not every frame has a true pose and depth"


def stream_of_truth(root: str, *, split: str | None, num_frames: int | None, frame_stride: int, seed: int) -> StreamConfig:
    """Every clip of a dataset once, in plan order, with all truth; figures are of whole pictures."""
    return StreamConfig(
        root=root,
        split=split,
        num_frames=num_frames,
        frame_stride=frame_stride,
        seed=seed,
        epochs=1,
        shuffle=False,
        fit="stretch",
        evaluation_truth=True,
    )


def measure_model(model: Network, sample: ClipSample, settings: EvaluationSettings, *, precision: ForwardPrecision) -> ClipScores | str:
    """Scores of a model on a clip; or why it cannot be measured.

    Args:
        model: on the device where it computes.
    Raises: DataError if the prediction is not finite or does not fit into memory; ConfigError for a model that `settings.geometry` does
        not fit.
    """
    if lacks_truth(sample):
        return NO_TRUTH
    height, width = sample.frames.shape[1:3]
    patch = family_of(model_name(model)).patch_size(model)
    size = fitted_size(width / height, settings.pixel_budget, patch=patch)
    geometry = known_geometry(sample, size) if settings.geometry == "truth" else None
    if geometry is None and settings.geometry == "truth":
        return NO_GEOMETRY
    asked = not set(TRACKING).isdisjoint(settings.protocols)
    chosen = choose_tracks(sample, size, at_most=settings.num_tracks) if asked else None
    queries = None if chosen is None else chosen.queries
    prediction = predict(model, resize_frames(sample.frames, size), queries, precision=precision, geometry=geometry)
    return measure_clip(prediction, sample, chosen, settings)
