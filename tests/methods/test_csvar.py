import math

import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from scipy import stats
from small import KEY, NUMBERS, PHOTO

import vmixjax
from vmixjax import methods


@pytest.mark.parametrize(
    ("side", "region"), [(16, 4), (32, 8), (64, 8), (112, 16), (224, 16), (512, 32)]
)
def test_csvar_takes_regions_by_the_size_of_the_image(side, region):
    made = methods.METHODS["csvar"].make((side, side, 3), region // 2)
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
    made = methods.METHODS["csvar"].make(PHOTO.shape)
    expected = vmixjax.mix(KEY, PHOTO, methods.csvar_plan(PHOTO))
    assert (made.protect(KEY, jnp.asarray(PHOTO)) == expected).all()
