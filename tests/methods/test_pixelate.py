import numpy as np
import pytest
from skimage import measure
from small import PHOTO

from vmixjax import methods


@pytest.mark.parametrize("block", [1, 2, 4])
def test_pixelation_paints_means(block):
    means = measure.block_reduce(PHOTO, (block, block, 1), np.mean)
    means = np.floor(means + 0.5).repeat(block, 0).repeat(block, 1)
    assert (np.asarray(methods.pixelate(PHOTO, block=block)) == means).all()


def test_means_of_an_odd_number_of_pixels_are_rounded_to_the_nearest():
    image = np.zeros((3, 9, 1), np.uint8)
    image[0, :4] = image[1, :1] = 1  # 4 ones of 9 in the first, 1 in the second
    image[:, 6:] = [[[1]], [[1]], [[0]]]
    assert np.asarray(methods.pixelate(image, block=3))[0, ::3, 0].tolist() == [
        0,
        0,
        1,
    ]
