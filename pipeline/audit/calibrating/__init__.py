"""Fitting and testing calibrations of the tracks' measures on datasets with truth."""
