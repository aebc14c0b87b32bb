"""Changes from one audit to another: drift of the measures, and canary clips labelled by both."""
