"""Commands that follow a job, ready to paste: what its summary ends with, and what `trackmill status` recommends.

Roots are written as they were given, so that a command works in the folder where the one before it did.
"""

from collections.abc import Sequence

from jobs.trackmill import command_line, options
from pipeline.labels import is_kind
from pipeline.records import TrackLabels

LABELER = "dis-flow"  # the one that needs neither a GPU nor weights
CONFIG = "tiny"  # trains on a CPU
STUDIO_CLIPS = 48


def after_shards(root: str) -> list[str]:
    """Screen, then label."""
    return [command_line("screen", *options(root=root)), *after_screen(root)]


def after_screen(root: str) -> list[str]:
    """Label what the screen left."""
    return [command_line("label", *options(root=root, labeler=LABELER))]


def after_conversion(root: str, *, evaluation: bool) -> list[str]:
    """Train on a dataset with truth, or label its true tracks to measure a labeler.

    Args:
        evaluation: whether it is an evaluation set: nobody trains on one, and not all of them have tracks.
    """
    if evaluation:
        return [command_line("evaluate model", *options(root=root, checkpoint="CHECKPOINT", out="evaluation"))]
    return [
        command_line("train", *options(config=CONFIG, set=[f"data.labelled.0.root={root}", "data.pseudo=null"])),
        command_line("label", *options(root=root, labeler=LABELER, query_policy="truth")),
    ]


def after_labels(root: str, label_set: str, *, kind: str, query_policy: str) -> list[str]:
    """Measure labels of true tracks, audit other tracks, look at depth."""
    if not is_kind(kind, TrackLabels.kind):
        return [command_line("show", *options(root=root, labels=label_set, out=f"{label_set}.mp4"))]
    if query_policy == "truth":
        return [command_line("evaluate labels", *options(root=root, labels=label_set, out=f"{label_set}-evaluation"))]
    return [command_line("audit run", *options(root=root, labels=label_set))]


def after_refinement(root: str, tracks: str, depth: str, cameras: str, *, audit: str | None, metric: bool) -> list[str]:
    """Write clips with tracks, depth and refined cameras for a trainer, which takes metres only."""
    if not metric:
        return []
    asked = options(root=root, labels=[tracks, depth, cameras], audit=audit, out=f"{cameras}-tapip3d")
    return [command_line("export tapip3d", *asked)]


def after_audit(root: str, audit: str, *, passes: bool, worst: str | None = None) -> list[str]:
    """Look at the tracks; then, if the gate lets them through, train on them together with rendered clips that have metric truth.

    Args:
        worst: key of a clip to look at; None for one from the middle.
    """
    look = command_line("show", *options(root=root, audit=audit, clip=worst, out=f"{audit}.mp4"))
    return [look, *(training_on_audit(root, audit) if passes else [])]


def training_on_audit(root: str, audit: str) -> list[str]:
    """Render clips with truth beside a root, and train on both: pseudo tracks alone say nothing of metric space."""
    studio = f"{root.rstrip('/')}-studio"
    changes = [f"data.labelled.0.root={studio}", f"data.pseudo.0.root={root}", f"data.pseudo.0.audit={audit}"]
    return [
        command_line("synthesize", *options(root=studio, domain="studio", num_clips=STUDIO_CLIPS)),
        command_line("train", *options(config=CONFIG, set=changes)),
    ]


def after_training(run: str, weights: str, labelled: Sequence[str], pixels: int) -> list[str]:
    """Measure the weights on the datasets with truth, and try them on a video.

    Args:
        run: folder of the run.
        weights: file of the last checkpoint.
        labelled: roots with truth that the training read.
        pixels: of its largest frames; at many more a small network is slow, and sees what it has never seen.
    """
    return [
        *(
            command_line("evaluate model", *options(root=root, checkpoint=weights, pixels=pixels, out=f"{run}/evaluation"))
            for root in labelled[:1]
        ),
        command_line("infer", "VIDEO", *options(checkpoint=weights, out=f"{run}/inferred")),
    ]


def after_tracker(root: str, network: str, weights: str) -> list[str]:
    """Label clips with a tracker that was trained; its labels are measured and audited as any.

    Args:
        network: the model's name, which is its labeler's. weights: file of the last checkpoint.
    """
    return [command_line("label", *options(root=root, labeler=network, query_policy="sift", checkpoint=weights))]


def after_adaptation(root: str, audit: str, weights: str, out: str, reconstruction: str | None) -> list[str]:
    """Look at the tracks that were adapted to, and try the weights on another video."""
    return [
        command_line("show", *options(root=root, audit=audit, out=f"{audit}.mp4")),
        command_line("infer", "VIDEO", *options(checkpoint=weights, reconstruction=reconstruction, out=f"{out}/another")),
    ]


def stream_lines(root: str, audit: str) -> list[str]:
    """Lines of Python that stream an audited root."""
    return [
        "from pipeline.stream import ClipStream, StreamConfig",
        f"for sample in ClipStream(StreamConfig(root={root!r}, audit={audit!r}, num_frames=24, size=(288, 512))): ...",
    ]
