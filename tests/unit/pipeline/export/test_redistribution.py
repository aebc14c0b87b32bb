"""Licences that are known to allow passing videos on, and those that are not."""

import pytest

from pipeline.export.card import size_category
from pipeline.export.redistribution import allows_redistribution, is_noncommercial


@pytest.mark.parametrize(
    "license",
    [
        "CC0",
        "CC0-1.0",
        "CC0 (synthetic, rendered by trackmill)",
        "CC-BY-4.0",
        "cc-by-sa-3.0",
        "CC BY-NC-SA 4.0",
        "CC BY 3.0 US",
        "Creative Commons Attribution license (reuse allowed)",
        "Apache-2.0 (CoTracker3_Kubric)",
        "MIT",
        "public domain",
        "ODC-By-1.0",
    ],
)
def test_a_known_licence_allows(license):
    assert allows_redistribution(license)


@pytest.mark.parametrize(
    "license",
    [
        None,
        "",
        "unknown",
        "CC BY-ND 4.0",
        "CC BY-NC-ND 4.0",
        "All rights reserved",
        "the provider's terms",
        "annotations CC-BY-4.0; video under the Aria Digital Twin terms",
        "CC-BY-4.0 and others",
        "not CC0",
        "MIT-like",
        "Standard YouTube License",
    ],
)
def test_anything_else_is_refused(license):
    assert not allows_redistribution(license)


def test_noncommercial_licences_are_known_by_name():
    assert is_noncommercial("CC BY-NC 4.0")
    assert is_noncommercial("for non-commercial research")
    assert not is_noncommercial("CC-BY-4.0")
    assert not is_noncommercial(None)


@pytest.mark.parametrize(("count", "name"), [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (2_000_000, "1M<n<10M"), (10**9, "n>100M")])
def test_sizes_have_the_names_of_the_hub(count, name):
    assert size_category(count) == name
