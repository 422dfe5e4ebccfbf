import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from crops import crops, psnr
from flax import nnx

import vmixjax
from vmixjax.attacks.gradient_inversion import gradient_inversion
from vmixjax.attacks.threat_model import ThreatModel

CLASSES = 10
IMAGES = crops("astronaut", side=32, stride=32)[[6, 12]][:, ::2, ::2]
LABELS = jnp.array([3, 7])
KEY = jax.random.key(0)
PLAN = vmixjax.full_plan(
    IMAGES.shape[1:], vmixjax.MixConfig(tile_size=8, ladder=((8, 1),))
)
KNOWN = ThreatModel(
    lambda key, image: vmixjax.mix(key, image, PLAN), jnp.asarray(IMAGES)
)


class LeNet(nnx.Module):
    """Two strided convolutions with sigmoids, as deep leakage was first shown on."""

    def __init__(self, rngs):
        uniform = nnx.initializers.uniform(1.0)

        def init(*args):
            return uniform(*args) - 0.5

        kwargs = {"kernel_init": init, "bias_init": init, "rngs": rngs}
        self.first = nnx.Conv(3, 12, (5, 5), strides=2, **kwargs)
        self.second = nnx.Conv(12, 12, (5, 5), **kwargs)
        # Small weights: where a class is sure, the gradient vanishes.
        self.head = nnx.Linear(8 * 8 * 12, CLASSES, rngs=rngs)

    def __call__(self, image):
        x = nnx.sigmoid(self.first(image[None]))
        x = nnx.sigmoid(self.second(x))
        return self.head(x.reshape(-1))


GRAPH, PARAMETERS = nnx.split(LeNet(nnx.Rngs(0)))


def gradient_of(image, label):
    def loss(parameters):
        logits = nnx.merge(GRAPH, parameters)(image)
        return optax.softmax_cross_entropy_with_integer_labels(logits, label)

    return jax.grad(loss)(PARAMETERS)


def sent(images):
    return jax.vmap(gradient_of)(jnp.asarray(images, jnp.float32) / 255, LABELS)


@functools.cache
def found(mixed):
    images = IMAGES
    if mixed:
        keys = jax.random.split(jax.random.key(5), len(IMAGES))
        images = np.asarray(jax.vmap(KNOWN.protect)(keys, jnp.asarray(IMAGES)))
    attack = functools.partial(
        gradient_inversion, gradient_of=gradient_of, labels=LABELS, steps=300
    )
    return images, attack(KEY, images, KNOWN, gradients=sent(images), restarts=1)


def test_a_clean_image_comes_back():
    images, back = found(mixed=False)
    assert (back.shape, back.dtype) == (images.shape, jnp.uint8)
    constant = np.broadcast_to(images.mean((1, 2), keepdims=True), images.shape)
    assert psnr(back, images) > psnr(constant, images) + 5


def test_of_mixed_images_the_mixed_ones_come_back():
    mixed, back = found(mixed=True)
    assert psnr(back, mixed) > psnr(back, IMAGES) + 3


def test_the_same_key_gives_the_same_image():
    attack = functools.partial(
        gradient_inversion,
        protected=IMAGES,
        threat_model=KNOWN,
        gradient_of=gradient_of,
        gradients=sent(IMAGES),
        labels=LABELS,
        steps=2,
        restarts=1,
    )
    np.testing.assert_array_equal(attack(KEY), attack(KEY))
    assert (attack(KEY) != attack(jax.random.key(1))).any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"labels": None}, "labels must be given"),
        ({"restarts": 0}, "restarts must be at least 1; got 0"),
        ({"gradients": jnp.zeros(3)}, "gradients must be those of 2 images"),
    ],
)
def test_bad_input_is_refused_by_name(options, words):
    options = {"gradients": sent(IMAGES), "labels": LABELS} | options
    with pytest.raises(ValueError, match=words):
        gradient_inversion(KEY, IMAGES, KNOWN, gradient_of=gradient_of, **options)
