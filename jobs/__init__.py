"""The command lines: one file per job, each run by `python jobs/NAME.py` or `ray job submit --working-dir . -- python jobs/NAME.py`."""
