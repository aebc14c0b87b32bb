"""A model measured on the clips of a dataset: its prediction on frames of the asked size, against all that is known of the clip."""

from networks import model_name
from networks.building import Network
from networks.layers.computing import ForwardPrecision
from pipeline.records import ClipSample
from pipeline.stream import StreamConfig
from trainer.evaluation.clip_scores import ClipScores, lacks_truth, measure_clip
from trainer.evaluation.predicting import model_size, predict_clip
from trainer.evaluation.settings import TRACKING, EvaluationSettings
from trainer.evaluation.truth_metrics import choose_tracks, known_geometry
from trainer.families import family_of

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
    size = model_size((height, width), settings, patch=family_of(model_name(model)).patch_size(model))
    geometry = known_geometry(sample, size) if settings.geometry == "truth" else None
    if geometry is None and settings.geometry == "truth":
        return NO_GEOMETRY
    asked = not set(TRACKING).isdisjoint(settings.protocols)
    chosen = choose_tracks(sample, size, at_most=settings.num_tracks, queries=settings.queries) if asked else None
    prediction = predict_clip(model, sample.frames, chosen, settings, size=size, precision=precision, geometry=geometry)
    return measure_clip(prediction, sample, chosen, settings)
