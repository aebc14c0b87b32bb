"""Evaluation against ground truth: what jobs/evaluate.py does below its command line."""
