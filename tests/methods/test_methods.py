import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from scipy import integrate, stats
from skimage import filters, measure

import vmixjax
from vmixjax import methods

KEY = jax.random.key(3)
PHOTO = oracle.smooth_image(16, 12)
NUMBERS = np.random.default_rng(0).integers(0, 256, (16, 12, 3), np.uint8)

KEYED = {
    "gaussian_noise": lambda key, x: methods.gaussian_noise(key, x, sigma=20),
    "dp_pix": lambda key, x: methods.dp_pix(key, x, epsilon=20, block=4),
    "permute_blocks": lambda key, x: methods.permute_blocks(key, x, block=2),
    "le": methods.le,
    "ele": methods.ele,
    "pe": methods.pe,
    "etc": lambda key, x: methods.etc(key, x, block=4),
}
KEYLESS = {
    "pixelate": lambda key, x: methods.pixelate(x, block=4),
    "gaussian_blur": lambda key, x: methods.gaussian_blur(x, sigma=1.5),
    "csvar_plan": lambda key, x: methods.csvar_plan(x).levels,
}


def blocks(image, size):
    """(H, W, C) -> one (size, size, C) after the other."""
    image = np.asarray(image)
    rows, columns = image.shape[0] // size, image.shape[1] // size
    return [
        image[i * size : (i + 1) * size, j * size : (j + 1) * size]
        for i in range(rows)
        for j in range(columns)
    ]


def half_bytes(block):
    return np.concatenate([block.reshape(-1) & 15, block.reshape(-1) >> 4])


def multiset(things):
    return sorted(np.asarray(thing).tobytes() for thing in things)


@pytest.mark.parametrize("name", [*KEYED, *KEYLESS])
def test_batches_under_jit_and_single_images_agree(name):
    function = (KEYED | KEYLESS)[name]
    images = np.stack([PHOTO, PHOTO[::-1], 255 - PHOTO])
    keys = jax.random.split(KEY, 3)
    batch = np.asarray(jax.jit(jax.vmap(function))(keys, images))
    alone = [np.asarray(function(keys[i], images[i])) for i in range(3)]
    assert batch.dtype == np.uint8
    assert [x.dtype for x in alone] == [np.uint8] * 3
    if name == "gaussian_blur":  # sums of floats, in another order
        assert np.abs(batch.astype(int) - np.stack(alone)).max() <= 1
        assert np.mean(batch != np.stack(alone)) < 0.01
    else:
        assert (batch == np.stack(alone)).all()
    if name != "csvar_plan":
        assert batch.shape == images.shape
    if name in KEYED:
        assert (np.asarray(function(keys[1], PHOTO)) != alone[0]).any()


# Noise


def test_noise_has_the_moments_that_it_says():
    grey = np.full((128, 96, 1), 128, np.uint8)
    noise = np.asarray(methods.gaussian_noise(KEY, grey, sigma=20)) - 128.0
    assert abs(noise.mean()) < 4 * 20 / math.sqrt(grey.size)
    assert noise.std() == pytest.approx(20, rel=0.03)
    assert stats.kurtosis(noise.ravel()) == pytest.approx(0, abs=0.2)
    dark = methods.gaussian_noise(KEY, grey * 0, sigma=20)
    assert np.mean(np.asarray(dark) == 0) == pytest.approx(0.51, abs=0.02)


@pytest.mark.parametrize(
    ("ratio", "delta"), [(0.1, 1e-3), (1, 1e-5), (4, 1e-2), (10, 1e-6)]
)
def test_epsilon_is_where_the_hockey_stick_divergence_is_delta(ratio, delta):
    epsilon = methods.noise_epsilon(255 / ratio, (1, 1, 1), delta=delta)
    start = epsilon / ratio + ratio / 2  # beyond it the one density exceeds the other
    divergence, _ = integrate.quad(
        lambda x: stats.norm.pdf(x - ratio) - np.exp(epsilon) * stats.norm.pdf(x),
        start,
        start + 40,
        points=[start + 1, start + 4],
        epsabs=1e-14,
    )
    assert divergence == pytest.approx(delta, rel=1e-5)


def test_epsilon_at_known_values():
    # The analytic Gaussian mechanism's noise for epsilon 1, delta 1e-5, sensitivity 1.
    sigma = 3.730632
    assert methods.noise_epsilon(255 * sigma, (1, 1, 1)) == pytest.approx(1, abs=1e-6)
    assert methods.noise_epsilon(255 * sigma * 8, (8, 8, 1)) == pytest.approx(1)
    assert methods.noise_epsilon(1e9, (8, 8, 3)) == 0
    # No overflow where epsilon is absurd, and half the noise is nearly four times it.
    absurd = [methods.noise_epsilon(s, (512, 512, 3)) for s in (1e-3, 2e-3)]
    assert absurd[0] == pytest.approx(4 * absurd[1], rel=1e-3)
    assert absurd[0] > 1e10


def test_dp_pix_is_pixelation_with_laplace_noise():
    grey = np.full((128, 96, 3), 128, np.uint8)
    # Any value of a pixel may differ, hence three times the noise of grey images.
    epsilon = 3 * 255 * 6 / (2 * 2 * 10)  # a scale of 10
    noisy = methods.dp_pix(KEY, grey, epsilon=epsilon, block=2, neighbours=6)
    found = np.array(blocks(noisy, 2))
    assert (found == found[:, :1, :1]).all()
    noise = found[:, 0, 0] - 128.0
    assert abs(noise.mean()) < 4 * 10 * math.sqrt(2 / noise.size)
    assert np.abs(noise).mean() == pytest.approx(10, rel=0.05)
    assert noise.std() == pytest.approx(10 * math.sqrt(2), rel=0.05)
    quiet = methods.dp_pix(KEY, PHOTO, epsilon=1e6, block=4)
    pixelated = np.asarray(methods.pixelate(PHOTO, block=4)).astype(int)
    assert np.abs(np.asarray(quiet) - pixelated).max() <= 1


# Smoothing


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


@pytest.mark.parametrize("sigma", [0.5, 3.0])
def test_blur_is_scikit_images(sigma):
    ours = np.asarray(methods.gaussian_blur(PHOTO, sigma=sigma)).astype(float)
    theirs = filters.gaussian(
        PHOTO.astype(float), sigma, mode="nearest", truncate=4, channel_axis=-1
    )
    assert np.abs(ours - theirs).max() < 0.501


# Encryption


def test_le_is_the_published_scramble_and_a_known_key_undoes_it():
    order = np.asarray(jax.random.permutation(KEY, 2 * 4 * 4 * 3))
    inverted = order > 48
    encrypted = np.asarray(methods.le(KEY, PHOTO))
    for plain, hidden in zip(blocks(PHOTO, 4), blocks(encrypted, 4), strict=True):
        halves = half_bytes(hidden).astype(int)
        halves[inverted] = 15 - halves[inverted]
        restored = np.empty_like(halves)
        restored[order] = halves
        restored[inverted] = 15 - restored[inverted]
        restored = restored[:48] + 16 * restored[48:]
        assert (restored == plain.reshape(-1)).all()
    assert np.mean(encrypted == PHOTO) < 0.1


@pytest.mark.parametrize("name", ["le", "ele"])
def test_each_half_byte_decides_one_half_byte(name):
    function = KEYED[name]
    before = np.asarray(function(KEY, NUMBERS))
    places = set()
    for value, bits in itertools.product([3, 100, 575], [1, 32]):
        other = NUMBERS.copy()
        other.reshape(-1)[value] ^= bits
        changed = np.asarray(function(KEY, other)) ^ before
        assert (changed > 0).sum() == 1
        assert bin(changed.max()).count("1") == 1
        places.add((int(changed.argmax()), int(changed.max()) > 15))
    assert len(places) == 6


def test_ele_scrambles_and_moves_blocks():
    def folded(image):
        return multiset(
            np.sort(np.minimum(h, 15 - h)) for h in map(half_bytes, blocks(image, 4))
        )

    encrypted = np.asarray(methods.ele(KEY, NUMBERS))
    assert folded(encrypted) == folded(NUMBERS)
    # Equal blocks do not stay equal, as they do in LE.
    same = np.tile(NUMBERS[:4, :4], (4, 3, 1))
    assert len(set(multiset(blocks(methods.le(KEY, same), 4)))) == 1
    assert len(set(multiset(blocks(methods.ele(KEY, same), 4)))) == 12
    # Blocks leave their places: the one that one pixel changes is another's.
    moves = []
    for i in range(0, 16, 4):
        other = NUMBERS.copy()
        other[i, 0, 0] ^= 255
        row, column, _ = np.argwhere(methods.ele(KEY, other) != encrypted)[0]
        moves.append((row // 4, column // 4) != (i // 4, 0))
    assert any(moves)


def test_pe_keeps_each_pixels_values_up_to_inversion_and_order():
    encrypted = np.asarray(methods.pe(KEY, NUMBERS))

    def folded(image):
        return np.sort(np.minimum(image, 255 - image), axis=2)

    assert (folded(encrypted) == folded(NUMBERS)).all()
    dark = np.asarray(methods.pe(KEY, NUMBERS // 4))
    assert np.mean(dark > 127) == pytest.approx(0.5, abs=0.07)
    mild = np.asarray(methods.pe(KEY, NUMBERS // 4, share=0.1))
    assert np.mean(mild > 127) == pytest.approx(0.1, abs=0.05)
    only_colours = np.asarray(methods.pe(KEY, NUMBERS, share=0))
    assert (np.sort(only_colours, 2) == np.sort(NUMBERS, 2)).all()
    assert np.mean(only_colours == NUMBERS) == pytest.approx(1 / 3, abs=0.08)


def test_etc_keeps_blocks_up_to_what_it_does_to_them():
    def canonical(block):
        turned = [np.rot90(block, k) for k in range(4)]
        turned += [np.flip(one, 0) for one in turned]
        inverted = [*turned, *(255 - one for one in turned)]
        orders = itertools.permutations(range(3))
        return min(
            one[..., order].tobytes()
            for one, order in itertools.product(inverted, map(list, orders))
        )

    encrypted = methods.etc(KEY, NUMBERS, block=4)
    before, after = blocks(NUMBERS, 4), blocks(encrypted, 4)
    assert sorted(map(canonical, before)) == sorted(map(canonical, after))
    assert not {x.tobytes() for x in before} & {x.tobytes() for x in after}


# Other shuffles


@pytest.mark.parametrize("block", [1, 4])
def test_permuting_keeps_blocks_whole(block):
    permuted = methods.permute_blocks(KEY, NUMBERS, block=block)
    assert multiset(blocks(permuted, block)) == multiset(blocks(NUMBERS, block))
    assert np.mean(np.asarray(permuted) == NUMBERS) < 0.3


@pytest.mark.parametrize(
    ("side", "region"), [(16, 4), (32, 8), (64, 8), (112, 16), (224, 16), (512, 32)]
)
def test_csvar_takes_regions_by_the_size_of_the_image(side, region):
    made = methods.method("csvar", (side, side, 3), strength=region // 2)
    assert made.region == region == 2 ** math.ceil(math.log2(math.sqrt(side)))


def test_csvar_cuts_finer_what_varies_more():
    contrast = np.linspace(0.1, 1, 12).reshape(4, 3).repeat(4, 0).repeat(4, 1)
    image = (NUMBERS * contrast[..., None]).astype(np.uint8)
    plan = methods.csvar_plan(image)
    variances = oracle.regions(image.astype(float), 4).var(-1).mean(-1)
    ranks = stats.rankdata(variances, "min").reshape(4, 3) - 1
    assert plan.config == vmixjax.MixConfig(4, ((4, 2), (4, 1)))
    assert (np.asarray(plan.levels) == 1 + ranks * 2 // 12).all()
    expected = np.asarray(vmixjax.expected_vfe_map(image, plan.config))
    chosen = np.take_along_axis(expected, np.asarray(plan.levels, int)[None], 0)
    assert plan.expected_vfe == pytest.approx(chosen.mean(), rel=1e-6)
    flat = methods.csvar_plan(np.full_like(image, 9))
    assert (np.asarray(flat.levels) == 1).all()
    assert methods.csvar_plan(image, finest=2).config.ladder == ((4, 2),)


def test_csvar_as_a_method_shuffles_by_its_plan():
    made = methods.method("csvar", PHOTO.shape)
    expected = vmixjax.mix(KEY, PHOTO, methods.csvar_plan(PHOTO))
    assert (made.protect(KEY, jnp.asarray(PHOTO)) == expected).all()


def test_the_published_rule():
    scores = np.zeros((14, 14), np.float32)
    scores[0, :6] = [0.05, 0.2, 0.5, 0.51, 0.95, 1.0]
    # A constant image has the VFE of its tiles' borders: 2 * 14 * value^2.
    for grey, blocks_a_side in (
        (60, [8, 8, 8, 8, 8, 8]),
        (40, [4, 8, 8, 8, 8, 8]),
        (20, [2, 4, 4, 8, 8, 8]),
    ):
        plan = methods.published_plan(np.full((112, 112, 3), grey, np.uint8), scores)
        assert plan.config.ladder == ((8, 4), (8, 2), (8, 1))
        found = 2 ** np.asarray(plan.levels)[0, :6].astype(int)
        assert found.tolist() == blocks_a_side


# As methods


@pytest.mark.parametrize(
    ("name", "strength"), [("pixelate", 4), ("dp_pix", 1000), ("le", 4)]
)
def test_nothing_leaves_its_region(name, strength):
    made = methods.method(name, NUMBERS.shape, strength=strength)
    inside = np.zeros(NUMBERS.shape, bool)
    inside[: made.region, : made.region] = True
    other = np.where(inside, 255 - NUMBERS, NUMBERS)
    a, b = (np.asarray(made.protect(KEY, jnp.asarray(x))) for x in (NUMBERS, other))
    assert (a[~inside] == b[~inside]).all()
    assert (a[inside] != b[inside]).any()


def test_methods_say_what_an_audit_must_know():
    made = {n: methods.method(n, (112, 112, 3)) for n in methods.METHODS}
    assert {n for n, m in made.items() if m.keys == "one"} == {
        "le",
        "ele",
        "published_vmix",
    }
    assert {n for n, m in made.items() if m.keys == "none"} == {
        "pixelate",
        "gaussian_blur",
    }
    assert {n for n, m in made.items() if m.region is None} == {
        "gaussian_noise",
        "gaussian_blur",
        "pe",
    }
    assert {n: m.block for n, m in made.items() if m.block > 1} == {"etc": 8}
    assert made["published_vmix"].region == 8
    assert made["permute_blocks"].region == 112
    assert all(m.name == n for n, m in made.items())
    # Blocks that fit: 15 has no 8.
    assert methods.method("etc", (45, 30, 3)).strength == 5


# Bad input


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: methods.le(KEY, PHOTO / 1), TypeError, "float64.*float32"),
        (
            lambda: methods.le(KEY, PHOTO.astype("f")),
            TypeError,
            "uint8.*got float32.*255",
        ),
        (
            lambda: methods.pixelate(PHOTO.astype("uint16")),
            TypeError,
            "got uint16",
        ),
        (lambda: methods.pe(KEY, PHOTO[None]), ValueError, "jax.vmap"),
        (lambda: methods.pe(0, PHOTO), TypeError, "typed JAX PRNG key; got int"),
        (lambda: methods.pe(KEY, PHOTO, share=1.5), ValueError, "share.*1.5"),
        (lambda: methods.etc(KEY, PHOTO), ValueError, "block of 8 .* 16 x 12.*16 x"),
        (lambda: methods.pixelate(PHOTO, block=0), ValueError, "block.*got 0"),
        (lambda: methods.pixelate(PHOTO, block=5000), ValueError, "at most 4096"),
        (
            lambda: methods.gaussian_blur(PHOTO, sigma=0),
            ValueError,
            "sigma.*over 0; got 0",
        ),
        (
            lambda: methods.gaussian_noise(KEY, PHOTO, sigma=float("nan")),
            ValueError,
            "sigma.*nan",
        ),
        (
            lambda: methods.gaussian_noise(KEY, PHOTO, sigma=jnp.float32(3)),
            TypeError,
            "sigma must be a Python number",
        ),
        (
            lambda: methods.dp_pix(KEY, PHOTO, block=4, epsilon=-1),
            ValueError,
            "epsilon.*-1",
        ),
        (
            lambda: methods.dp_pix(KEY, PHOTO, block=4, neighbours=0),
            ValueError,
            "neighbours.*0",
        ),
        (lambda: methods.noise_epsilon(0, (8, 8, 3)), ValueError, "sigma.*got 0"),
        (
            lambda: methods.noise_epsilon(9, (8, 8, 3), delta=1),
            ValueError,
            "delta.*below 1",
        ),
        (lambda: methods.noise_epsilon(9, (8, 8)), ValueError, "H, W, C"),
        (lambda: methods.csvar_plan(PHOTO[:15]), ValueError, "15 x 12.*regions of 4"),
        (lambda: methods.csvar_plan(PHOTO, finest=4), ValueError, "finest.*below 4"),
        (lambda: methods.csvar_plan(NUMBERS, finest=3), ValueError, "power of 2"),
        (
            lambda: methods.published_plan(NUMBERS, np.ones((14, 14))),
            ValueError,
            "16 x 12.*112 x 112",
        ),
        (
            lambda: methods.published_plan(
                np.tile(NUMBERS[:, :8], (7, 14, 1)), np.ones(14)
            ),
            ValueError,
            "sensitivity.*14, 14",
        ),
        (lambda: methods.method("aes", (8, 8, 3)), ValueError, "gaussian_noise.*aes"),
        (lambda: methods.method("le", (9, 8, 3), strength=4), ValueError, "block of"),
        (lambda: methods.method("le", (8, 8, 3), strength=0.5), ValueError, "0.5"),
        (
            lambda: methods.method("published_vmix", (32, 32, 3)),
            ValueError,
            "32 x 32.*resize",
        ),
        (
            lambda: methods.method("published_vmix", (112, 112, 3), strength=1),
            ValueError,
            "no strength",
        ),
    ],
)
def test_bad_arguments_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
