"""The 3D tracker: queries of frame 0, followed through point maps and feature maps."""
