"""Model families by the names of their networks."""

from networks.building import Network
from pipeline.errors import ConfigError
from pipeline.records.factories import load_factory
from trainer.families.protocol import Family

# network's name -> "module:class", imported when it is asked for
FAMILIES = {
    "cotracker3-offline": "trainer.families.tracker2d.family:Tracker2dFamily",
    "cotracker3-online": "trainer.families.tracker2d.family:Tracker2dFamily",
    "pi3": "trainer.families.pi3.family:Pi3Family",
    "pi3x": "trainer.families.pi3.family:Pi3Family",
    "st4rtrack": "trainer.families.st4rtrack.family:St4RTrackFamily",
    "track4world": "trainer.families.track4world.family:Track4WorldFamily",
    "trajvg": "trainer.families.trajvg.family:TrajVGFamily",
}


def family_of(network: str) -> Family:
    """The family of a network that `networks.build_model` knows by this name. Raises: ConfigError for one without a family."""
    if network not in FAMILIES:
        raise ConfigError(f"model {network!r} cannot be trained; models that can are {', '.join(sorted(FAMILIES))}")
    family: Family = load_factory(FAMILIES[network], "family")()
    return family


def check_predicts(family: Family, model: Network) -> None:
    """Raises: ConfigError for a model that predicts no geometry, from images or over given one: a tracker in the image alone."""
    if not family.infers(model) and not family.tracks(model):
        raise ConfigError(
            f"{type(model).__name__} tracks points in the image alone, and predicts no geometry to infer or to measure; label clips with it"
            " (jobs/pseudolabel.py --checkpoint FILE), and measure its labels with jobs/evaluate.py labels"
        )
