"""Images of any sizes in packs are what the public functions make of each alone."""

import jax
import numpy as np
import oracle
import pytest

import vmixjax
from vmixjax._shuffle.prng import CHACHA8
from vmixjax.planning import plan_at
from vmixjax.release import batches
from vmixjax.release.config import Recipe

# Together, tiles of 8 share blocks of the cipher, four to a block.
CONFIGS = {
    "shared blocks of the cipher": vmixjax.MixConfig(8, ((4, 1), (8, 1))),
    "large blocks, joint": vmixjax.MixConfig(8, ((4, 2), (8, 2)), "joint"),
}
SHAPES = [(8, 8), (24, 72), (72, 24), (8, 328), (16, 16)]


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS)
def config(request, monkeypatch):
    """A config, and packs so small that images are cut in pieces."""
    monkeypatch.setattr(batches, "_CPU_VALUES", 8000)
    return request.param


def images_of(channels, dtype):
    return [
        oracle.smooth_image(*shape, channels, dtype)[:: 1 - 2 * (i % 2)]
        for i, shape in enumerate(SHAPES)
    ]


@pytest.fixture
def images():
    """Of two kinds, one after the other."""
    pairs = zip(images_of(3, np.uint8), images_of(1, np.uint16), strict=True)
    return [np.ascontiguousarray(image) for pair in pairs for image in pair]


def keys_of(images):
    rng = np.random.default_rng(3)
    return [rng.integers(0, 2**32, 8, np.uint32) for _ in images]


def test_mixing_in_packs_is_mixing_each_alone(images, config):
    keys = keys_of(images)
    plans = batches.plan_images(
        images, [None] * len(images), Recipe(config, strength=0.4)
    )
    levels = [planned.levels for planned in plans]
    mixed = batches.mix_images(images, keys, levels, config)
    # Each shape is compiled for anew here, so only some.
    for i in (2, 3, 4):
        alone = plan_at(images[i], 0.4, config)
        np.testing.assert_array_equal(levels[i], alone.levels)
        assert plans[i].reachable == bool(alone.reachable)
        key = jax.random.wrap_key_data(keys[i], impl=CHACHA8)
        np.testing.assert_array_equal(
            mixed[i].image, vmixjax.mix(key, images[i], alone)
        )
    for image, one in zip(images, mixed, strict=True):
        assert one.before == pytest.approx(oracle.vfe_map(image, 8).mean())
        assert one.after == pytest.approx(oracle.vfe_map(one.image, 8).mean())
    back = batches.unmix_images(
        [one.image for one in mixed], keys, levels, [config] * len(images)
    )
    for image, again in zip(images, back, strict=True):
        np.testing.assert_array_equal(again, image)


def test_an_image_is_the_same_alone_and_among_others(images, config):
    keys = keys_of(images)
    recipe = Recipe(config, target_vfe=20.0)

    def run(some):
        """Plans, mixed images and measures of some, by number."""
        chosen = [images[i] for i in some]
        plans = batches.plan_images(chosen, [None] * len(some), recipe)
        levels = [planned.levels for planned in plans]
        mixed = batches.mix_images(chosen, [keys[i] for i in some], levels, config)
        measured = batches.measure_images(chosen, config)
        vfe = batches.vfe_of_images(chosen, config.tile_size)
        assert vfe == [one.vfe for one in measured] == [one.before for one in mixed]
        return {
            i: (levels[k].tolist(), mixed[k].image.tobytes(), mixed[k][1:], measured[k])
            for k, i in enumerate(some)
        }

    everything = run(range(len(images)))
    alone = {key: value for i in (0, 1, 6, 7) for key, value in run([i]).items()}
    assert alone == {i: everything[i] for i in alone}
    turned = list(reversed(range(len(images))))
    assert run(turned) == everything


@pytest.mark.parametrize(
    "recipe", [{}, {"strength": 0.3}, {"target_vfe": 1e9}], ids=str
)
def test_tiles_that_are_not_private_stay_as_they_are(images, config, recipe):
    rng = np.random.default_rng(0)
    masks = [
        (rng.random((image.shape[0] // 8, image.shape[1] // 8)) < 0.5).astype(
            np.float32
        )
        for image in images
    ]
    plans = batches.plan_images(images, masks, Recipe(config, **recipe))
    for planned, mask in zip(plans, masks, strict=True):
        np.testing.assert_array_equal(planned.levels > 0, mask > 0)
        if not recipe:
            assert set(np.unique(planned.levels)) <= {0, len(config.ladder)}


def test_measures_are_those_of_the_public_functions(config):
    image = oracle.smooth_image(24, 40)
    (measured,) = batches.measure_images([image], config)
    assert measured.vfe == pytest.approx(float(vmixjax.vfe(image, 8)))
    lowest, highest = vmixjax.vfe_range(image, config)
    assert measured.lowest == float(lowest)
    assert measured.highest == float(highest)


def test_large_tiles_of_16_bits_are_measured_exactly():
    image = np.random.default_rng(0).integers(0, 2**16, (256, 512, 1), np.uint16)
    exact = oracle.vfe_map(image, 256).mean()
    (vfe,) = batches.vfe_of_images([image], 256)
    assert vfe == pytest.approx(exact, rel=1e-12)
