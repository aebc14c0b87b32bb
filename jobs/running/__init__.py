"""The way from videos to audited tracks in one go, and the state of a dataset that it leaves."""
