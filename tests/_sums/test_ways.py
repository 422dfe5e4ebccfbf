"""Every way to go through an image gives the same sums, as NumPy computes them."""

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest

from vmixjax import MixConfig, _sums
from vmixjax._energy import _divided, in_64_bits
from vmixjax._sums.parts import smallest_regions

WAYS = {**_sums.WAYS, "any other": _sums.DEFAULT}
# Regions as large as tiles, smaller, of sides that few numbers divide, and blocks.
CONFIGS = {
    "one region": MixConfig(tile_size=16, ladder=((16, 1),)),
    "regions of regions": MixConfig(tile_size=16, ladder=((2, 1), (8, 1), (16, 1))),
    "sevenths": MixConfig(tile_size=14, ladder=((7, 1), (14, 1), (2, 1))),
    "a prime": MixConfig(tile_size=5, ladder=((5, 1),), channels="joint"),
    "blocks": MixConfig(tile_size=8, ladder=((8, 2), (4, 1)), channels="shared"),
}


def tiles_of(values, side):
    """(H, W, C) -> (H / side, W / side, side, side, C)."""
    rows, columns = values.shape[0] // side, values.shape[1] // side
    return values.reshape(rows, side, columns, side, -1).swapaxes(1, 2)


def expected_sums(values, tile):
    """Sums inside and at the border of tiles, straight from their definition."""
    tiles = tiles_of(values, tile)
    down, across = np.diff(tiles, axis=2), np.diff(tiles, axis=3)
    edges = tiles[:, :, -1], tiles[:, :, :, -1]
    inside = (down**2).sum((2, 3, 4)) + (across**2).sum((2, 3, 4))
    return inside, sum((edge**2).sum((2, 3)) for edge in edges)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("bits", [8, 16])
def test_sums_are_those_of_their_definition(config, bits):
    tile = config.tile_size
    rng = np.random.default_rng(bits)
    image = rng.integers(0, 2**bits, (2 * tile, 3 * tile, 3), f"uint{bits}")
    image[:tile, :tile] = 2**bits - 1
    values = image.astype(np.int64)

    @jax.jit
    @in_64_bits
    def by_all_ways(image):
        return [
            way.image_sums(image, lambda x: x.astype(jnp.int32), config, bits)
            for way in WAYS.values()
        ]

    inside, border = expected_sums(values, tile)
    first, *others = by_all_ways(image)
    for sums in (first, *others):
        np.testing.assert_array_equal(sums.inside, inside)
        np.testing.assert_array_equal(sums.border, border)
        assert sorted(sums.pixels) == smallest_regions(config)
        for region, (total, squares) in sums.pixels.items():
            regions = tiles_of(values, region)
            np.testing.assert_array_equal(total, regions.sum((2, 3)))
            np.testing.assert_array_equal(squares, (regions**2).sum((2, 3)))
        assert sums.blocks.keys() == first.blocks.keys()
        jax.tree.map(np.testing.assert_array_equal, sums.blocks, first.blocks)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("tile", [5, 8, 12])
def test_squares_and_their_gradient(way, tile):
    shape = (2 * tile, 3 * tile, 3)
    image = np.random.default_rng(tile).normal(size=shape).astype(np.float32)

    def squares(image):
        return way.tile_squares(image, tile, lambda x: x)

    batch = jnp.stack([image, 2 * image])
    found, gradient = jax.jit(
        lambda batch: (
            jax.vmap(squares)(batch),
            jax.grad(lambda x: squares(x).sum())(batch[0]),
        )
    )(batch)
    expected = oracle.vfe_map(image, tile)
    np.testing.assert_allclose(found, [expected, 4 * expected], rtol=1e-5)
    # A homogeneous quadratic form: x . gradient is twice its value.
    assert np.vdot(image, gradient) == pytest.approx(2 * expected.sum(), rel=1e-5)


@in_64_bits
def test_division_by_digits_is_exact():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**63, 400, np.int64) >> rng.integers(0, 63, 400)
    values = np.concatenate([[0, 1, 2**62, 2**63 - 1], values])
    for divisor in (1, 2, 9, 72, 255, 4096, 65535, 65537, 3 * 2**20 - 1):
        found = _divided(jnp.asarray(values), divisor)
        np.testing.assert_array_equal(found, np.divmod(values, divisor), str(divisor))
