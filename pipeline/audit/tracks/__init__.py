"""Measures of each track of a clip: does it find back, look alike, move with its neighbours, obey the camera?"""
