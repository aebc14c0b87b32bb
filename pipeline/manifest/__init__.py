"""From what users have (folders, globs, tables of clips) to a list of `ClipSpec`."""

from pipeline.manifest.inputs import Manifest, ManifestOptions, RowProblem
from pipeline.manifest.listing import kind_of
from pipeline.manifest.read import read_manifest

__all__ = ["Manifest", "ManifestOptions", "RowProblem", "kind_of", "read_manifest"]
