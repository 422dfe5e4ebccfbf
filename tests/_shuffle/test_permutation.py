import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import vmixjax
from vmixjax._shuffle import at_once, chunks, permutation, permute, platforms
from vmixjax._shuffle.layout import Batch
from vmixjax._shuffle.prng import full_length
from vmixjax._shuffle.stages import stages

LEAST_P = 1e-6
MODES = ("independent", "shared", "joint")


@functools.partial(jax.jit, static_argnames=("shape", "config", "inverse"))
def source_index(key, levels, shape, config, *, inverse=False):
    """Where each value comes from: what becomes of an image of places."""
    places = jnp.arange(np.prod(shape), dtype=jnp.int32).reshape(shape)
    words = full_length(key)
    return permute(words, places, levels, config, inverse)


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


def forget_stages():
    stages.cache_clear()
    permutation._permute_batch.cache_clear()
    source_index.clear_cache()


def test_the_chi_square_tests_would_see_a_weak_permutation(monkeypatch):
    monkeypatch.setattr(
        "vmixjax._shuffle.stages.stage_count", lambda bases: 2 * len(bases)
    )
    forget_stages()
    try:
        with pytest.raises(AssertionError):
            test_blocks_go_anywhere_and_neighbours_part(4, "independent", 1)
    finally:
        forget_stages()


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


@settings(max_examples=8, deadline=None)
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


@pytest.mark.parametrize(
    ("tile", "ladder", "mode"),
    [
        (14, ((14, 2), (14, 1), (7, 1)), "joint"),
        (22, ((22, 2),), "shared"),
        (12, ((12, 4), (6, 2), (12, 1)), "independent"),
    ],
)
def test_chunks_and_whole_images_are_mixed_alike(tile, ladder, mode, monkeypatch):
    config = vmixjax.MixConfig(tile, ladder, mode)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5, 3 * tile, 2 * tile, 3), np.uint8)
    levels = rng.integers(0, len(ladder) + 1, (5, 3, 2), np.uint8)
    keys = full_length(jax.random.split(jax.random.key(1), 5))
    row = images[0, :tile].size
    batch = Batch(images, keys, levels)
    # What accelerators run, and CPUs that share a batch.
    whole = jax.jit(at_once.permute_images, static_argnums=(1, 2))
    expected = np.asarray(whole(batch, config, False))
    monkeypatch.setattr(chunks, "_runs_on_one_device", lambda images: True)
    for size in (4 * row, 1000 * row):
        monkeypatch.setattr(chunks, "_CHUNK_BYTES", size)
        chunked = jax.jit(
            functools.partial(chunks.permute_images, config=config, inverse=False)
        )
        np.testing.assert_array_equal(chunked(batch), expected)


def test_a_platform_runs_what_the_table_has_for_it(monkeypatch):
    config = vmixjax.MixConfig(8, ((8, 1),))
    image = jnp.arange(16 * 8 * 3, dtype=jnp.uint8).reshape(16, 8, 3)
    levels = jnp.ones((2, 1), jnp.uint8)
    words = full_length(jax.random.key(0))
    expected = permute(words, image, levels, config, False)
    called = []

    def kernel(batch, config, inverse):
        called.append((*(x.shape for x in batch), inverse))
        return at_once.permute_images(batch, config, inverse)

    monkeypatch.setitem(platforms.IMPLEMENTATIONS, "cpu", kernel)
    mixed = permute(words, image, levels, config, False)
    np.testing.assert_array_equal(mixed, expected)
    assert called == [((1, 16, 8, 3), (1, 8), (1, 2, 1), False)]


def test_nobody_waits_for_what_other_platforms_run(monkeypatch):
    def never(*_):
        raise AssertionError("traced on a CPU, which does otherwise")

    monkeypatch.setattr(at_once, "permute_image", never)
    monkeypatch.setattr(chunks, "_runs_on_one_device", lambda images: True)
    config = vmixjax.MixConfig(6, ((6, 3),))
    image = jnp.zeros((2, 12, 6, 3), jnp.uint8)
    words = full_length(jax.random.split(jax.random.key(0), 2))
    levels = jnp.ones((2, 2, 1), jnp.uint8)
    alone = jax.jit(lambda w, x, y: permute(w, x, y, config, False))
    batched = jax.jit(jax.vmap(alone))
    assert batched(words, image, levels).shape == image.shape


def test_platforms_mix_alike_where_nothing_is_compiled():
    config = vmixjax.MixConfig(4, ((4, 2), (4, 1)), "joint")
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.integers(0, 256, (2, 8, 4, 3), np.uint8))
    words = full_length(jax.random.split(jax.random.key(0), 2))
    levels = jnp.asarray([[[1], [2]], [[2], [0]]], jnp.uint8)
    batch = Batch(images, words, levels)
    expected = at_once.permute_images(batch, config, False)
    with jax.disable_jit():
        for one in (*platforms.IMPLEMENTATIONS.values(), platforms.DEFAULT):
            np.testing.assert_array_equal(one(batch, config, False), expected)


def test_compiled_mix_has_no_sort_and_needs_little_memory():
    for config in (vmixjax.MixConfig(), vmixjax.MixConfig(28, ((28, 1),), "joint")):
        side = 4 * config.tile_size
        images = jax.ShapeDtypeStruct((256, side, side, 3), jnp.uint8)
        plan = vmixjax.full_plan(images.shape[1:], config)
        keys = jax.random.split(jax.random.key(0), 256)
        batch = jax.jit(jax.vmap(vmixjax.mix, (0, 0, None)))
        lowered = batch.lower(keys, images, plan)
        compiled = lowered.compile()
        assert "stablehlo.sort" not in lowered.as_text()
        assert " sort(" not in compiled.as_text()
        size = np.prod(images.shape)
        assert compiled.memory_analysis().temp_size_in_bytes < 4 * size


def test_other_types_and_odd_batches_go_through():
    config = vmixjax.MixConfig(8, ((8, 2),))
    image = jnp.arange(16 * 8 * 3, dtype=jnp.int32).reshape(16, 8, 3)
    levels = jnp.ones((2, 1), jnp.uint8)
    words = full_length(jax.random.split(jax.random.key(0), 6))

    @jax.jit
    def mix(word, image, levels):
        return permute(word, image, levels, config, False)

    alone = jnp.stack([mix(word, image, levels) for word in words])
    of_one = jax.vmap(mix, (0, None, None))(words, image, levels)
    nested = jax.vmap(jax.vmap(mix, (0, None, None)), (0, None, None))
    np.testing.assert_array_equal(of_one, alone)
    pairs = nested(words.reshape(2, 3, 8), image, levels)
    np.testing.assert_array_equal(pairs.reshape(alone.shape), alone)
