"""Converting datasets with ground truth (and rendered ones): the stage, and the order of things."""
