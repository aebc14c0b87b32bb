"""From a staged scene to a clip: fast ray casting, light, motion blur and what a camera does to the picture, and the truth beside it."""
