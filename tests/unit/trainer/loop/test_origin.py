"""What a checkpoint says it was made of, over two rounds of training."""

import json

from networks import build_model
from networks.weights import TrainingOrigin, TrainingSource, read_weights, save_weights
from trainer.loop.origin import origin_of_start

SMALL = {
    **{"model_resolution": [32, 48], "encoder": [8, 8, 8, 8], "features": 8, "correlation_hidden": 8, "embedding": 8},
    **{"hidden": 16, "heads": 2, "depth": 1, "virtual_tracks": 2},
}


def test_a_second_round_keeps_the_sources_and_licences_of_the_first(tmp_path):
    model = build_model("cotracker3-online", SMALL)
    first = TrainingOrigin(sources=(TrainingSource(dataset="walks", labels=("dis-flow-1a2b3c4d",), audit="strict"),), licenses=("CC0",))
    file = str(tmp_path / "first.safetensors")
    save_weights(file, model, license="CC BY-NC 4.0", origin=first)
    start = origin_of_start(read_weights(file))
    assert start == TrainingOrigin(sources=first.sources, licenses=("CC BY-NC 4.0", "CC0"))
    again = start.joined(TrainingOrigin(sources=(*first.sources, TrainingSource(dataset="studio")), licenses=("CC0", "MIT")))
    assert [source.dataset for source in again.sources] == ["walks", "studio"]
    assert again.licenses == ("CC BY-NC 4.0", "CC0", "MIT")


def test_files_that_do_not_say_have_a_licence_alone(tmp_path):
    model = build_model("cotracker3-online", SMALL)
    file = str(tmp_path / "plain.safetensors")
    save_weights(file, model, license="MIT")
    assert "origin" not in json.loads(read_weights(file).metadata["trackmill"])
    assert origin_of_start(read_weights(file)) == TrainingOrigin(licenses=("MIT",))
