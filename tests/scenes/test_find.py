"""Images of the same scene are found, and others are not."""

import cv2
import numpy as np
import pytest
from skimage import data

from vmixjax.data.digits import enlarged_digits
from vmixjax.scenes import Index, Scene, View, describe, find_scenes, link

SIDE = 224
# Not the rocket: corners of its sky are all alike, and few decide how pieces lie. The
# benchmark has it.
PHOTOGRAPHS = ("astronaut", "coffee", "chelsea", "camera", "coins")
RNG = np.random.default_rng


def photograph(name):
    image = getattr(data, name)()
    return image if image.ndim == 3 else image[..., None]


def piece(image, top, left, side=SIDE):
    return image[top : top + side, left : left + side]


def pairs_of_pieces(seed, side=SIDE):
    """Two pieces of each photograph that share a quarter of their area, and how."""
    rng = RNG(seed)
    for name in PHOTOGRAPHS:
        image = photograph(name)
        while True:
            height = rng.uniform(0.3, 0.85)
            shift = np.round(side * (1 - np.array([height, 0.25 / height])))
            shift = (shift * rng.choice([-1, 1], 2)).astype(int)
            start = rng.integers(0, np.array(image.shape[:2]) - side + 1)
            end = start + shift
            if (end >= 0).all() and (end + side <= image.shape[:2]).all():
                break
        yield piece(image, *start, side), piece(image, *end, side), shift


def larger(image):
    return cv2.resize(image, None, fx=1.1, fy=1.1, interpolation=cv2.INTER_CUBIC)


def brighter(image):
    return np.clip(image * 1.2, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("side", [128, SIDE])
@pytest.mark.parametrize("change", [np.copy, larger, brighter])
def test_pairs_that_share_a_quarter_of_their_area_are_found(change, side):
    found = count = 0
    for seed in range(12):
        images = []
        for one, other, _ in pairs_of_pieces(seed, side):
            other = change(other)
            images += [one, other if other.ndim == 3 else other[..., None]]
        scenes = find_scenes(images)
        numbers = [sorted(view.index for view in scene.views) for scene in scenes]
        # Nothing else is in a scene.
        assert all(b == a + 1 and a % 2 == 0 for a, b in numbers)
        found += len(numbers)
        count += len(images) // 2
    assert found >= 0.95 * count


def test_a_view_says_where_it_lies():
    image = photograph("astronaut")
    one, other = piece(image, 100, 200), larger(piece(image, 160, 90))
    (scene,) = find_scenes([one, piece(image, 131, 217), other])
    first, second, third = scene.views
    assert first == View(0, 1.0, 0.0, 0.0)
    # Whole pixels are exact.
    assert second == View(1, 1.0, 31.0, 17.0)
    assert third.scale == pytest.approx(1 / 1.1, abs=0.003)
    assert (third.top, third.left) == pytest.approx((60, -110), abs=0.5)


@pytest.mark.parametrize("side", [32, 40])
def test_small_images_that_are_shifted_are_found(side):
    small = cv2.resize(photograph("chelsea"), (160, 110), interpolation=cv2.INTER_AREA)
    (scene,) = find_scenes([piece(small, 20, 50, side), piece(small, 25, 47, side)])
    assert scene.views[1] == View(1, 1.0, 5.0, -3.0)


@pytest.mark.parametrize("kind", ["uint16", "float32", "grey", "alpha", "five"])
def test_any_type_and_number_of_channels(kind):
    image = photograph("coffee")
    image = {
        "uint16": lambda: image.astype(np.uint16) * 16,
        "float32": lambda: image.astype(np.float32) / 255,
        "grey": lambda: image[..., :1],
        "alpha": lambda: np.concatenate([image, image[..., :1] * 0 + 255], 2),
        "five": lambda: image[..., [0, 1, 2, 0, 1]],
    }[kind]()
    (scene,) = find_scenes([piece(image, 20, 30), piece(image, 60, 90)])
    assert scene.views[1] == View(1, 1.0, 40.0, 60.0)


def test_copies_of_other_sizes_are_found():
    image = photograph("coffee")
    half = cv2.resize(image, (300, 200), interpolation=cv2.INTER_AREA)
    (scene,) = find_scenes([image, half])
    assert scene.views[1].scale == pytest.approx(2, abs=0.01)
    assert scene.count_grids([32]) == 2


def unrelated():
    return [photograph(name)[:300, :380] for name in PHOTOGRAPHS]


def neighbours():
    image = photograph("astronaut")
    starts = range(0, 512, 128)
    return [piece(image, top, left, 128) for top in starts for left in starts]


def blank():
    flat = [np.full((64, 64, 3), value, np.uint8) for value in (0, 128, 255)]
    noise = RNG(0).integers(127, 130, (3, 64, 64, 3)).astype(np.uint8)
    return flat * 3 + list(noise)


def gradients():
    ramp = np.arange(128, dtype=np.uint8)
    across = np.tile(ramp, (128, 1))[..., None]
    return [across, across.swapaxes(0, 1), across[::-1], across + 60, across // 2]


def checkerboards():
    rows, columns = np.indices((128, 128))
    return [
        (((rows + shift) // size + columns // size) % 2 * 255).astype(np.uint8)[
            ..., None
        ]
        for size in (4, 8, 16)
        for shift in (0, 1, 3)
    ]


def noise():
    return list(RNG(1).integers(0, 256, (40, 64, 64, 3)).astype(np.uint8))


def digits():
    return list(enlarged_digits()[0].images[:300])


@pytest.mark.parametrize(
    "images",
    [unrelated, neighbours, blank, gradients, checkerboards, noise, digits],
)
def test_what_shows_other_things_is_no_scene(images):
    scenes = find_scenes(images())
    assert [scene for scene in scenes if scene.count_grids([8, 16, 32]) > 3] == []
    if images not in (checkerboards, digits):
        assert scenes == []


def test_order_and_chunks_change_nothing():
    images = [one for pair in pairs_of_pieces(3) for one in pair[:2]]
    expected = find_scenes(images)
    assert len(expected) >= 5
    index = Index(len(images))
    for first in (8, 0, 4):
        index.add(first, [describe(image) for image in images[first : first + 4]])
    assert link(index.pack(), images.__getitem__) == expected


def test_an_image_that_cannot_be_read_is_in_no_scene():
    images = [one for pair in pairs_of_pieces(3) for one in pair[:2]]
    index = Index(len(images))
    index.add(0, [None, *map(describe, images[1:])])
    numbers = {
        view.index
        for scene in link(index.pack(), images.__getitem__)
        for view in scene.views
    }
    assert numbers
    assert not {0, 1} & numbers
    # Nor where it is gone by the time it is compared.
    assert link(index.pack(), lambda number: None) == []


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, 0])
def test_odd_values_and_shapes_do_no_harm(value):
    for shape in ((30, 30, 1), (1, 5000, 3), (5000, 1, 3), (1, 1, 1)):
        image = np.full(shape, value, np.float32)
        assert len(describe(image).bits) == 0
        image[0, 0] = 1
        assert describe(image).height == shape[0]


def test_a_descriptor_is_small():
    descriptor = describe(RNG(0).integers(0, 256, (300, 300, 3)).astype(np.uint8))
    assert 1500 < descriptor.bits.nbytes + descriptor.corners.nbytes <= 2048


@pytest.mark.parametrize(
    ("image", "error", "names"),
    [
        (np.zeros((4, 4), np.uint8), ValueError, r"image.*\(4, 4\).*\[\.\.\., None\]"),
        (np.zeros((0, 4, 3), np.uint8), ValueError, r"image.*\(0, 4, 3\)"),
        (np.zeros((4, 4, 3), np.int32), TypeError, r"image.*int32.*astype"),
    ],
)
def test_what_is_no_image_is_refused(image, error, names):
    with pytest.raises(error, match=names):
        describe(image)


def test_no_images_no_scenes():
    assert find_scenes([]) == []
    assert find_scenes([piece(photograph("coffee"), 0, 0)]) == []
    assert isinstance(find_scenes(neighbours()[:1] * 2)[0], Scene)
