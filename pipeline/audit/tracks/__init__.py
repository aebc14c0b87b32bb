"""Measures of each track of a clip: cycle, appearance, agreement with its neighbours, the camera's motion and a second opinion."""
