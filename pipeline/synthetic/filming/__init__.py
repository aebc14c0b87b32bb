"""From a staged scene to a clip and its truth: fast ray casting, light, motion blur and the camera's effects on the picture."""
