import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import vmixjax
from vmixjax import permutation
from vmixjax.permutation import rounds, source_index

LEAST_P = 1e-6
MODES = ("independent", "shared", "joint")


def positions(n, mode, channels, keys, regions):
    """Source blocks (n, n, C, samples), numbered as in the grid of one region."""
    config = vmixjax.MixConfig(tile_size=n, ladder=((n, 1),), channels=mode)
    shape = (n * regions, n * regions, channels)
    levels = vmixjax.full_plan(shape, config).levels

    def one(key):
        index = source_index(key, levels, shape, config)
        channel, x = index % channels, index // channels % shape[1] % n
        y = index // (channels * shape[1]) % n
        if mode != "joint":
            channel = 0
        block = (channel * n + y) * n + x
        return block.reshape(regions, n, regions, n, channels)

    blocks = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(n), keys))
    return np.asarray(blocks).transpose(2, 4, 5, 0, 1, 3).reshape(n, n, channels, -1)


def uniform(counts):
    """p-value of equal expected counts."""
    return stats.chisquare(np.ravel(counts)).pvalue


@pytest.mark.parametrize(
    ("n", "mode", "channels"),
    [(n, "independent", 1) for n in (2, 3, 4, 7, 8, 14, 16)]
    + [(2, "joint", 3), (4, "joint", 3), (8, "joint", 4)],
)
def test_blocks_go_anywhere_and_neighbours_part(n, mode, channels):
    samples = positions(n, mode, channels, keys=1500, regions=8)
    count = n * n * (channels if mode == "joint" else 1)
    for blocks in samples.reshape(-1, samples.shape[-1])[:: max(1, count // 16)]:
        assert uniform(np.bincount(blocks, minlength=count)) > LEAST_P
    pairs = [(samples[0, 0, 0], samples[0, 1, 0]), (samples[0, 0, 0], samples[1, 0, 0])]
    if mode == "joint":
        pairs.append((samples[0, 0, 0], samples[0, 0, 1]))
    for here, there in pairs:
        assert (here != there).all()
        rows = (there // n - here // n) % (count // n)
        columns = (there % n - here % n) % n
        apart = np.bincount(rows * n + columns, minlength=count)[1:]
        assert uniform(apart) > LEAST_P
        if count <= 64:
            table = np.bincount(here * count + there, minlength=count**2)
            off_diagonal = ~np.eye(count, dtype=bool).ravel()
            assert uniform(table[off_diagonal]) > LEAST_P


def test_the_chi_square_tests_would_see_a_weak_permutation(monkeypatch):
    monkeypatch.setattr("vmixjax.permutation.rounds", lambda n: 4)
    with pytest.raises(AssertionError):
        test_blocks_go_anywhere_and_neighbours_part(8, "independent", 1)


def test_more_rounds_for_fewer_blocks():
    table = {n: rounds(n) for n in (2, 3, 4, 7, 8, 14, 16, 32, 64, 1024)}
    assert table == {
        2: 22,
        3: 16,
        4: 12,
        7: 10,
        8: 10,
        14: 8,
        16: 8,
        32: 6,
        64: 6,
        1024: 6,
    }


@st.composite
def cases(draw):
    """(shape, config, levels, seed) of small ragged plans."""
    tile = draw(st.sampled_from([2, 3, 4, 6, 8, 12]))
    sizes = [
        (s, b)
        for s in range(2, tile + 1)
        for b in range(1, s)
        if tile % s == 0 and s % b == 0
    ]
    ladder = tuple(draw(st.lists(st.sampled_from(sizes), min_size=1, max_size=3)))
    config = vmixjax.MixConfig(tile, ladder, draw(st.sampled_from(MODES)))
    rows, columns = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    channels = draw(st.integers(1, 4))
    levels = draw(
        st.lists(
            st.integers(0, len(ladder)),
            min_size=rows * columns,
            max_size=rows * columns,
        )
    )
    levels = np.array(levels, np.uint8).reshape(rows, columns)
    return (
        (rows * tile, columns * tile, channels),
        config,
        levels,
        draw(st.integers(0, 2**32 - 1)),
    )


@settings(max_examples=20, deadline=None)
@given(cases())
def test_index_maps_are_bijections_inside_regions_and_invert(case):
    shape, config, levels, seed = case
    key = jax.random.key(seed)
    forward, back = (
        np.asarray(source_index(key, jnp.asarray(levels), shape, config, inverse=i))
        for i in (False, True)
    )
    everywhere = np.arange(np.prod(shape))
    assert (np.sort(forward.ravel()) == everywhere).all()
    assert (forward.ravel()[back.ravel()] == everywhere).all()
    there = np.array(np.unravel_index(forward, shape))
    here = np.array(np.unravel_index(everywhere.reshape(shape), shape))
    for (row, column), level in np.ndenumerate(levels):
        tile = np.s_[
            :,
            row * config.tile_size : (row + 1) * config.tile_size,
            column * config.tile_size : (column + 1) * config.tile_size,
        ]
        if level == 0:
            assert (there[tile] == here[tile]).all()
            continue
        region, block = config.ladder[level - 1]
        assert (there[tile][:2] // region == here[tile][:2] // region).all()
        assert (there[tile][:2] % block == here[tile][:2] % block).all()
        if config.channels != "joint":
            assert (there[tile][2] == here[tile][2]).all()
        if config.channels == "shared":
            assert (there[tile][:2] == there[tile][:2, :, :, :1]).all()


def test_channels_and_regions_have_permutations_of_their_own():
    config = vmixjax.MixConfig(8, ((8, 1),))
    shape = (16, 16, 3)
    plan = vmixjax.full_plan(shape, config)
    index = np.asarray(source_index(jax.random.key(0), plan.levels, shape, config))
    blocks = index // 3 // 16 % 8 * 8 + index // 3 % 16 % 8
    apart = {
        blocks[8 * i : 8 * i + 8, 8 * j : 8 * j + 8, c].tobytes()
        for i in (0, 1)
        for j in (0, 1)
        for c in (0, 1, 2)
    }
    assert len(apart) == 12


@pytest.mark.parametrize("mode", MODES)
def test_what_accelerators_run_gives_the_same_index_map(mode, monkeypatch):
    config = vmixjax.MixConfig(16, ((4, 2), (8, 1), (16, 1)), mode)
    shape = (32, 32, 3)
    levels = jnp.array([[0, 1], [2, 3]], jnp.uint8)

    def both():
        one = lambda key, inverse: source_index(  # noqa: E731
            key, levels, shape, config, inverse=inverse
        )
        return [jax.jit(one, static_argnums=1)(jax.random.key(5), i) for i in (0, 1)]

    staged = both()
    monkeypatch.setattr(permutation, "_staged", lambda stage, *args: stage(*args))
    fused = both()
    for ours, theirs in zip(staged, fused, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_compiled_mix_has_no_sort():
    image = jax.ShapeDtypeStruct((64, 64, 3), jnp.uint8)
    plan = vmixjax.full_plan(image.shape, vmixjax.MixConfig())
    lowered = jax.jit(vmixjax.mix).lower(jax.random.key(0), image, plan)
    assert "sort(" not in lowered.compile().as_text()
    assert "stablehlo.sort" not in lowered.as_text()
