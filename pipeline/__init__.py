"""The data plane: from video files to labelled clips that a trainer streams. See README.md for the rooms."""
