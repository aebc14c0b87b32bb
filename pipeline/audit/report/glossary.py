"""Words of the page, and what no number on it can tell."""

from pipeline.audit.report.markup import Markup, element, joined

_TERMS = (
    ("clip", "A short, uncut stretch of a video; shards hold clips, some dozens to a file."),
    ("query", "A point of one frame that a labeler is asked to follow; drawn as a white cross."),
    ("track", "Where the labeler says that point is in every frame, and whether it can be seen there."),
    ("visible, invisible", "A filled dot is called visible; a hollow one is a prediction of where the hidden point would be."),
    ("usable track", "Visible in at least 8 frames of its clip, or in all of a shorter clip."),
    ("weight", "From 0 to 1, how much a track counts in training."),
    ("likeness", "Normalised cross-correlation (NCC) of the patch around the point with the query's patch: 1 equal, 0 unrelated."),
    ("raster of 256 × 256", "Distances are measured as if every clip were 256 pixels wide and high, so that clips can be compared."),
    ("keep, quarantine, drop, error", "What becomes of a clip; the gravest of its reasons decides, and all reasons are stored."),
    ("gate", "Rules for the whole label set. If one that blocks is broken, the audit ends with exit code 4."),
    ("borderline", "Clips that a small change of a limit, or of their measures, would judge otherwise."),
    ("held-out", "Clips with known truth on which a calibration was tested and not fitted."),
)
_LIMITS = (
    "Movers along epipolar lines are seen by no 2D test: an object that moves the way the camera does, such as a car driven ahead, looks"
    " static to every measure here. Static scores are therefore evidence, not proof.",
    "A track that drifts smoothly together with all its neighbours, over a surface without texture, can look perfect to every measure.",
    "An error common to all tracks, such as a shift by half a pixel, shows only on clips of known truth.",
    "Where the measures look at appearance (likeness), changes of light and blur lower the weight of tracks that are right.",
    "The worst clips mislead by themselves: look at the random and the borderline ones before judging a label set.",
)


def glossary() -> Markup:
    """Terms, then the honest limits."""
    terms = element("dl", *(joined([element("dt", term), element("dd", words)]) for term, words in _TERMS), class_="facts")
    limits = element("ul", *(element("li", words) for words in _LIMITS))
    return joined([terms, element("h3", "What this audit cannot see"), limits])
