"""A model on a user's video: what jobs/infer.py does below its command line."""
