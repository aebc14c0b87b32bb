"""Video in and out, frame by frame: probing, cutting, encoding and reading, all through PyAV."""
