"""What a checkpoint of ours hands on to the labels that are made with it: licences, and what it was trained on."""

from dataclasses import asdict
from typing import Any

from networks.weights import WeightFile, license_of, origin_of


def parents_of(file: WeightFile) -> dict[str, Any] | None:
    """Datasets, label sets and licences that a file's weights were made of, in JSON types; None where it does not say."""
    origin = origin_of(file)
    if origin is None:
        return None
    sources = [{**asdict(source), "labels": list(source.labels)} for source in origin.sources]
    return {"sources": sources, "licenses": list(origin.licenses)}


def inherited_license(file: WeightFile) -> str | None:
    """Licences of a file's weights and of all that they were made of, as one text; None where none is known."""
    license, origin = license_of(file), origin_of(file)
    known = ([] if license is None else [license]) + ([] if origin is None else list(origin.licenses))
    return "; ".join(dict.fromkeys(known)) or None
