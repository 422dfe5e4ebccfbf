import jax
import numpy as np

from vmixjax.attacks._borders import misfits


def test_misfits_are_what_the_formula_says():
    rng = np.random.default_rng(0)
    lines = rng.uniform(0, 255, (4, 3, 5, 2)).astype(np.float32)
    outer, inner, first, second = lines

    def surprise(outer, inner, beyond):
        gradient = outer - inner
        mean = gradient.mean(0)
        covariance = np.cov(gradient.T, bias=True) + np.eye(2)
        rest = beyond - outer - (gradient + mean) / 2
        squares = np.einsum("ni,ij,nj->n", rest, np.linalg.inv(covariance), rest)
        return np.log1p(np.sqrt(squares).mean()) / 2

    expected = [
        [
            surprise(outer[p], inner[p], first[q])
            + surprise(first[q], second[q], outer[p])
            for q in range(3)
        ]
        for p in range(3)
    ]
    found = jax.jit(misfits)((outer, inner), (first, second))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_ramp_goes_on():
    ramp = np.arange(8.0)[:, None, None] * np.ones((8, 4, 1)) * 9
    before = (ramp[1::2], ramp[::2])
    after = (ramp[::2], ramp[1::2])
    found = np.asarray(jax.jit(misfits)(before, after))
    assert (found[:-1].argmin(-1) == [1, 2, 3]).all()
