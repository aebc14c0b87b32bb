"""Refinement of poses: what a clip's label sets know of it, the worker that refines it, and the label set of cameras that is made."""
