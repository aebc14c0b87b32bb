"""From what users have (folders, globs, tables of clips) to a list of `ClipSpec`."""

from pipeline.manifest.listing import kind_of
from pipeline.manifest.options import ManifestOptions
from pipeline.manifest.read import read_manifest
from pipeline.manifest.result import Manifest, RowProblem

__all__ = ["Manifest", "ManifestOptions", "RowProblem", "kind_of", "read_manifest"]
