"""What a run trains on: datasets, label sets and licences, which its checkpoints carry to whatever is made with them."""

from networks.weights import TrainingOrigin, TrainingSource, WeightFile, license_of, origin_of
from pipeline.stream import StreamConfig, label_sets_of
from trainer.data import DataConfig


def origin_of_start(file: WeightFile) -> TrainingOrigin:
    """Origin of the weights that a training begins from. Published files name a licence alone."""
    license, known = license_of(file), origin_of(file) or TrainingOrigin()
    return known.joined(TrainingOrigin(licenses=() if license is None else (license,)))


def origin_of_data(config: DataConfig) -> TrainingOrigin:
    """Origin of a run's data but for the licences of its clips, which come with the clips.

    Raises: ConfigError for an unknown label set or audit.
    """
    origin = TrainingOrigin()
    for mixture in (config.labelled, config.pseudo):
        for part, _ in mixture.parts if mixture else ():
            origin = origin.joined(_of_part(part))
    return origin


def _of_part(part: StreamConfig) -> TrainingOrigin:
    sets = label_sets_of(part) if part.labels is not None or part.audit is not None else ()
    inherited = tuple(license for labels in sets for license in (labels.license, *labels.parent_licenses) if license is not None)
    source = TrainingSource(
        dataset=part.root.rstrip("/").rsplit("/", 1)[-1], labels=tuple(labels.name for labels in sets), audit=part.audit
    )
    return TrainingOrigin(sources=(source,), licenses=inherited)
