import cv2
import numpy as np

from pipeline.drawing.flow import NO_FLOW, beside_flow, draw_flow_legend, flow_legend_width, flow_pictures
from pipeline.drawing.legend import Font


def test_the_hue_is_the_direction_and_the_brightness_the_length():
    flow = np.zeros((1, 2, 3, 2), np.float32)
    flow[0, 0] = [[4, 0], [0, 4], [-4, 0]]
    flow[0, 1] = [[2, 0], [0, 0], [4, 0]]
    valid = np.array([[[True, True, True], [True, True, False]]])
    pictures = flow_pictures(flow, valid)
    hue, _, value = cv2.split(cv2.cvtColor(pictures.frames[0], cv2.COLOR_RGB2HSV))
    assert hue[0].tolist() == [0, 45, 90]  # of 180: to the right, down, to the left
    assert value[0].tolist() == [255, 255, 255]
    assert abs(int(value[1, 0]) - 127) <= 1
    assert pictures.frames[0, 1, 1].tolist() == [0, 0, 0]  # at rest
    assert pictures.frames[0, 1, 2].tolist() == NO_FLOW.tolist()
    assert (pictures.longest_px, pictures.range_text()) == (4.0, "up to 4 px")


def test_a_clip_without_flow_is_grey_and_the_legend_fits_its_width():
    none = flow_pictures(np.zeros((2, 40, 50, 2), np.float32), np.zeros((2, 40, 50), bool))
    assert (none.frames == NO_FLOW).all()
    drawn = beside_flow(np.zeros((2, 40, 50, 3), np.uint8), none)
    assert drawn.shape == (2, 70, 108, 3)
    font, height = Font(), 40
    image = np.zeros((height, flow_legend_width(font) + 20, 3), np.uint8)
    draw_flow_legend(image, (0, 25), font)
    assert (image[24, :] == NO_FLOW).all(axis=-1).any()  # the last of it is there
    draw_flow_legend(np.zeros((height, 10, 3), np.uint8), (0, 25), font)  # too narrow for anything
