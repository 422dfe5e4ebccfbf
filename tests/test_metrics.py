import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from skimage import data
from skimage import metrics as theirs

from vmixjax import metrics

PHOTO = oracle.smooth_image(32, 40)
RNG = np.random.default_rng(0)
IMAGES = np.stack([PHOTO, PHOTO[::-1], 255 - PHOTO, PHOTO // 2])
NOISY = np.clip(IMAGES + RNG.normal(0, 25, IMAGES.shape), 0, 255).astype(np.uint8)
FLAT = np.full_like(IMAGES, 77)


def test_psnr_is_scikit_images_and_infinite_for_equals():
    expected = [
        theirs.peak_signal_noise_ratio(a, b) for a, b in zip(IMAGES, NOISY, strict=True)
    ]
    assert metrics.psnr(IMAGES, NOISY) == pytest.approx(expected)
    assert (metrics.psnr(IMAGES, IMAGES) == np.inf).all()
    black, white = np.zeros((1, 4, 4, 1), np.uint8), np.full((1, 4, 4, 1), 255, "u1")
    assert metrics.psnr(black, white).tolist() == [0]
    assert metrics.psnr(white, black).tolist() == [0]


def test_ssim_has_the_window_of_its_paper():
    """From the formula, pixel by pixel, where the whole window is inside."""
    place = np.arange(-5, 6)
    window = np.exp(-(place[:, None] ** 2 + place**2) / (2 * 1.5**2))
    window /= window.sum()

    def one(a, b):
        values = []
        for i in range(5, a.shape[0] - 5):
            for j in range(5, a.shape[1] - 5):
                here = np.s_[i - 5 : i + 6, j - 5 : j + 6]
                x, y = a[here].astype(float), b[here].astype(float)
                mx, my = (window * x).sum(), (window * y).sum()
                vx = (window * x * x).sum() - mx * mx
                vy = (window * y * y).sum() - my * my
                both = (window * x * y).sum() - mx * my
                c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
                values.append(
                    (2 * mx * my + c1)
                    * (2 * both + c2)
                    / ((mx * mx + my * my + c1) * (vx + vy + c2))
                )
        return np.mean(values)

    a, b = IMAGES[0, :20, :24], NOISY[0, :20, :24]
    expected = np.mean([one(a[..., c], b[..., c]) for c in range(3)])
    assert metrics.ssim(a[None], b[None])[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("side", [3, 4, 5, 7, 8, 9, 10, 11, 32])
def test_ssim_of_small_and_constant_images(side):
    part = IMAGES[:, :side, :side]
    assert metrics.ssim(part, part) == pytest.approx(1)
    assert metrics.ssim(FLAT[:, :side, :side], FLAT[:, :side, :side]) == pytest.approx(
        1
    )
    mixed = metrics.ssim(part, FLAT[:, :side, :side])
    assert ((mixed >= -1) & (mixed < 0.9)).all()


def test_edges_are_found_in_wrong_colours_too():
    assert metrics.edge_correlation(IMAGES, IMAGES) == pytest.approx(1)
    assert metrics.edge_correlation(IMAGES, 255 - IMAGES) == pytest.approx(1)
    assert metrics.edge_correlation(IMAGES, IMAGES // 4) == pytest.approx(1, abs=0.1)
    shuffled = RNG.permuted(IMAGES.reshape(4, -1, 3), axis=1).reshape(IMAGES.shape)
    assert np.abs(metrics.edge_correlation(IMAGES, shuffled)).max() < 0.2


def test_edges_of_images_without_any_correlate_with_nothing():
    ramp = np.zeros_like(IMAGES)
    assert metrics.edge_correlation(FLAT, FLAT).tolist() == [0] * 4
    assert metrics.edge_correlation(IMAGES, FLAT).tolist() == [0] * 4
    assert metrics.edge_correlation(ramp + 3, IMAGES).tolist() == [0] * 4


def test_originals_are_reidentified_by_the_nearest():
    features = RNG.normal(size=(300, 8))
    assert metrics.reidentified(features, features) == 1
    assert metrics.reidentified(features, features + 1e-6) == 1
    assert metrics.reidentified(features, np.roll(features, 1, 0)) == 0
    half = features.copy()
    half[::2] = features[1::2]
    assert metrics.reidentified(features, half) == 0.5
    # Without information: chance. With twins among the originals: a half each.
    assert metrics.reidentified(features, np.zeros((300, 8))) == pytest.approx(1 / 300)
    assert metrics.reidentified(features * 0, features) == pytest.approx(1 / 300)
    twins = features.repeat(2, 0)
    assert metrics.reidentified(twins, twins) == 0.5


def test_region_means_identify_what_keeps_them():
    features = metrics.region_means(IMAGES, 8)
    assert features.shape == (4, 4 * 5 * 3)
    assert features[1, :3] == pytest.approx(IMAGES[1, :8, :8].mean((0, 1)))
    assert features[0, -3:] == pytest.approx(IMAGES[0, 24:, 32:].mean((0, 1)))
    assert metrics.reidentified(features, metrics.region_means(NOISY, 8)) == 1


def test_faces():
    portrait = data.astronaut()[:224, 80:304]
    street = np.ascontiguousarray(data.coffee()[:224, :224])
    both = np.stack([portrait, street, np.full_like(portrait, 90)])
    assert metrics.faces(both).tolist() == [1, 0, 0]
    grey = portrait.mean(-1, keepdims=True).astype(np.uint8)
    assert metrics.faces(grey[None]).tolist() == [1]
    assert metrics.faces(IMAGES[:, :16]).tolist() == [0] * 4


def test_jax_arrays_are_taken_too():
    found = metrics.psnr(jnp.asarray(IMAGES), jnp.asarray(NOISY))
    assert isinstance(found, np.ndarray)
    assert found == pytest.approx(metrics.psnr(IMAGES, NOISY))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: metrics.psnr(IMAGES / 255, NOISY), TypeError, "originals.*float64"),
        (lambda: metrics.psnr(IMAGES, NOISY / 255), TypeError, "images must.*float64"),
        (lambda: metrics.ssim(PHOTO, PHOTO), ValueError, r"originals\[None\]"),
        (lambda: metrics.ssim(IMAGES[:0], NOISY[:0]), ValueError, "batch"),
        (lambda: metrics.ssim(IMAGES[:, :2], NOISY[:, :2]), ValueError, "2 x 40"),
        (lambda: metrics.edge_correlation(IMAGES, NOISY[:3]), ValueError, "same order"),
        (lambda: metrics.region_means(IMAGES, 7), ValueError, "region of 7"),
        (lambda: metrics.faces(IMAGES[..., :2]), ValueError, "1 or 3 channels"),
        (lambda: metrics.reidentified(IMAGES, NOISY), ValueError, r"\(B, D\)"),
        (
            lambda: metrics.reidentified(np.ones((2, 3)), np.full((2, 3), np.nan)),
            ValueError,
            "finite",
        ),
    ],
)
def test_bad_arguments_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
