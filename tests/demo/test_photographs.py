import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest

import vmixjax
from vmixjax.demo import photographs


def test_region_means_are_means_and_mixing_leaves_them():
    config = vmixjax.MixConfig(16, ((4, 1), (8, 1), (16, 1)))
    image = oracle.smooth_image(16, 48)
    plan = vmixjax.full_plan(image.shape, config)
    plan = vmixjax.Plan(
        jnp.array([[1, 3, 0]], jnp.uint8), plan.expected_vfe, plan.reachable, config
    )
    means = np.asarray(photographs.region_means(image, plan))
    for size, columns in ((4, np.s_[:16]), (16, np.s_[16:32])):
        values = oracle.regions(image[:, columns], size).mean(-1)
        painted = np.kron(values, np.ones((size, size, 1)))
        assert np.abs(means[:, columns] - painted).max() <= 0.5
    assert (means[:, 32:] == image[:, 32:]).all()
    mixed = vmixjax.mix(jax.random.key(0), image, plan)
    assert (photographs.region_means(mixed, plan) == means).all()


@pytest.mark.parametrize("name", photographs.NAMES)
def test_photographs_need_no_network(name):
    image = photographs.load_photograph(name)
    assert image.shape == (photographs.SIDE, photographs.SIDE, 3)
    assert image.dtype == np.uint8


def test_photographs_are_mixed_as_strongly_as_they_say(monkeypatch):
    monkeypatch.setattr(photographs, "NAMES", ("cat",))
    (cat,) = photographs.mix_photographs(0)
    assert [mix.strength for mix in cat.mixes] == [0, 0.5, 1]
    assert cat.vfe == pytest.approx(float(vmixjax.vfe(cat.image, 32)))
    realised = [mix.realised for mix in cat.mixes]
    assert cat.vfe < realised[0] < realised[1] < realised[2]
    lowest, highest = map(float, vmixjax.vfe_range(cat.image, photographs.CONFIG))
    targets = [mix.target for mix in cat.mixes]
    assert targets == pytest.approx([lowest, (lowest + highest) / 2, np.inf])
    for mix in cat.mixes:
        assert mix.realised == pytest.approx(mix.expected, rel=0.02)
        assert (mix.image != cat.image).mean() > 0.5
        # Whatever its regions, values stay in their tiles.
        before, after = (oracle.regions(x, 32) for x in (cat.image, mix.image))
        assert (np.sort(before) == np.sort(after)).all()
    assert cat.mixes[0].regions == (8, 8)
    assert cat.mixes[2].regions == (32, 32)
