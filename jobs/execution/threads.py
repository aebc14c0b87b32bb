"""Threads that libraries may use."""

import sys

import cv2


def pin_threads(threads: int) -> None:
    """Hold OpenCV, and torch where it is loaded, to so many threads. To be called in the thread that computes.

    OpenMP keeps its number per thread: set in another one, torch's number does not hold for what
    comes from oneDNN (a convolution takes all cores).
    """
    cv2.setNumThreads(threads)
    torch = sys.modules.get("torch")  # a labeler without a network does not load it
    if torch is not None:
        torch.set_num_threads(threads)
