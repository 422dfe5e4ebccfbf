import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vmixjax
from train import inputs
from train.config import Config, Data, Mixing
from train.forms import FORMS
from train.tasks import TASKS
from vmixjax.errors import RunError

SHAPE = (16, 24, 3)


def config(form="plain", **mixing):
    return Config(
        mixing=Mixing(tile_size=8, ladder=((4, 1), (8, 1)), form=form, **mixing)
    )


def batch(count=3):
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.integers(0, 256, (count, *SHAPE)), jnp.uint8)
    return inputs.image_keys(5, jnp.uint32(7), jnp.arange(count)), images


def training(config, keys, images):
    """Inputs alone, without anything that is to be learned of them."""
    task = TASKS[config.task](config, SHAPE, 2)
    seen, _ = inputs.training(config, task)(keys, images, {})
    return seen


def test_keys_are_of_seed_step_and_id():
    keys = inputs.image_keys(5, jnp.uint32(7), jnp.array([3, 9]))
    step = jax.random.fold_in(jax.random.key(5), 7)
    for key, number in zip(keys, (3, 9), strict=True):
        expected = jax.random.key_data(jax.random.fold_in(step, number))
        np.testing.assert_array_equal(jax.random.key_data(key), expected)


def test_images_are_mixed_each_with_its_key():
    keys, images = batch()
    seen = training(config(), keys, images)
    plan = vmixjax.full_plan(SHAPE, config().mixing.config)
    for key, image, got in zip(keys, images, seen, strict=True):
        mixed = vmixjax.mix(key, image, plan)
        np.testing.assert_allclose(got, np.asarray(mixed) / 255 - 0.5, atol=1e-6)


@pytest.mark.parametrize("where", ["off", "done"])
def test_what_is_not_to_be_mixed_is_left(where):
    keys, images = batch()
    form = "canonical" if where == "off" else "plain"
    seen = training(config(where=where, form=form), keys, images)
    np.testing.assert_allclose(seen, np.asarray(images) / 255 - 0.5, atol=1e-6)


def test_less_strength_is_less_vfe():
    keys, images = batch()
    smooth = jnp.repeat(jnp.repeat(images[:, ::8, ::8], 8, 1), 8, 2)

    def vfe_at(strength):
        seen = inputs.testing(config(strength=strength))(keys, smooth)
        return np.mean([vmixjax.vfe(image + 0.5, 8) for image in seen])

    assert vfe_at(0.0) <= vfe_at(0.5) <= vfe_at(1.0)


@pytest.mark.parametrize(
    ("form", "channels"),
    [(name, channels) for name, form in FORMS.items() for channels in form.channels],
)
def test_forms_are_those_of_mixed_images(form, channels):
    of = config(form=form, channels=channels, strength=0.5)
    keys, images = batch()
    mixed = inputs.mixed(of, keys, images)
    assert (mixed != images).any()
    seen = inputs.testing(of)(keys, images)
    np.testing.assert_array_equal(seen, inputs.form(of, mixed))
    # Those for which nothing is mixed are the same for any key, so for none.
    if FORMS[form].keyless:
        np.testing.assert_array_equal(seen, inputs.form(of, images))
    shape, cell_size = inputs.input_shape(of, SHAPE)
    assert seen.shape == (3, *shape)
    assert cell_size == (8 if FORMS[form].place else 1)


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_mixed_for_forms_that_no_key_changes(form):
    of = config(form=form, channels=FORMS[form].channels[0])
    keys, images = batch()
    traced = str(jax.make_jaxpr(inputs.testing(of))(keys, images))
    assert ("shuffle_cpu" in traced) != FORMS[form].keyless


@pytest.mark.parametrize("form", [name for name in FORMS if FORMS[name].keyless])
def test_images_are_mixed_where_regions_of_a_ladder_overlap(form):
    of = Config(
        mixing=Mixing(tile_size=12, ladder=((4, 1), (6, 1)), strength=0, form=form)
    )
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.integers(0, 256, (2, 24, 36, 3)), jnp.uint8)
    keys = inputs.image_keys(5, jnp.uint32(7), jnp.arange(2))
    seen = inputs.testing(of)(keys, images)
    mixed = inputs.mixed(of, keys, images)
    np.testing.assert_array_equal(seen, inputs.form(of, mixed))
    assert (seen != inputs.form(of, images)).any()


def test_regions_hold_sorted_values_channel_by_channel():
    _, images = batch(1)
    seen = inputs.form(config(form="regions"), images)[0]
    region = np.asarray(images[0, 8:16, 16:24])
    expected = np.sort(region.reshape(64, 3), axis=0).T.reshape(-1)
    np.testing.assert_allclose(seen[1, 2], expected / 255 - 0.5, atol=1e-6)


@pytest.mark.parametrize(
    ("mixing", "words"),
    [
        (Mixing(tile_size=5, ladder=((5, 1),)), "--data.image-size 15"),
        (Mixing(tile_size=8, ladder=((3, 1),)), "--mixing: ladder"),
        (
            Mixing(tile_size=8, ladder=((8, 1),), strength=2),
            "--mixing.strength must be",
        ),
    ],
)
def test_what_cannot_be_mixed_is_refused(mixing, words):
    with pytest.raises(RunError, match=words):
        inputs.check_shape(Config(mixing=mixing), SHAPE)
    off = dataclasses.replace(mixing, where="off", strength=1)
    if "image-size" in words:
        inputs.check_shape(Config(mixing=off), SHAPE)


def test_pixel_shifts_of_a_release_with_sorted_regions_are_refused():
    wrong = Config(
        data=Data(augment="crop-flip", shift="pixels"),
        mixing=Mixing("done", tile_size=8, ladder=((8, 1),)),
    )
    with pytest.raises(RunError, match=r"--data\.shift pixels moves .*--data\.shift"):
        inputs.check_shape(wrong, SHAPE)


def test_presets_of_published_figures_shift_by_pixels_and_others_do_not():
    from train.presets import PRESETS

    assert {name for name, one in PRESETS.items() if one.data.shift == "pixels"} == {
        *("cifar10", "cifar10_small", "cifar10_112")
    }


def test_a_form_for_other_channels_is_refused():
    wrong = Config(mixing=Mixing(tile_size=8, ladder=((8, 1),), form="tuples"))
    with pytest.raises(RunError, match=r"--mixing\.channels shared, and not for indep"):
        inputs.check_shape(wrong, SHAPE)
    off = dataclasses.replace(wrong.mixing, where="off")
    inputs.check_shape(dataclasses.replace(wrong, mixing=off), SHAPE)
