import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from methods import KEY, PUBLIC, error, mixing, photographs, shuffled

from vmixjax import methods
from vmixjax.attacks.known_plaintext import known_plaintext, known_plaintext_half_bytes
from vmixjax.attacks.threat_model import ThreatModel

HALVES = [
    photographs()[:4, i : i + 160, j : j + 160] for i in (0, 160) for j in (0, 160)
]
IMAGES = np.concatenate(HALVES)[:, :128, :128]
TARGET = IMAGES[-2:]


def known(region, block=1):
    return ThreatModel(lambda key, image: image, PUBLIC, region=region, block=block)


def attacked(threat_model, protected, pairs, channels):
    return np.asarray(
        known_plaintext(
            KEY,
            protected[-2:],
            threat_model,
            originals=IMAGES[:pairs],
            pairs_protected=protected[:pairs],
            channels=channels,
        )
    )


@pytest.mark.parametrize(
    ("channels", "region", "block", "pairs"),
    [
        ("independent", 8, 1, 14),
        ("independent", 32, 1, 14),
        ("independent", 32, 4, 2),
        ("shared", 32, 1, 6),
        ("joint", 32, 1, 14),
        ("joint", 16, 4, 3),
    ],
)
def test_a_shared_key_is_undone_completely(channels, region, block, pairs):
    threat_model = known(region, block)
    protected = shuffled(IMAGES, region, block, channels, shared=True)
    assert (attacked(threat_model, protected, pairs, channels) == TARGET).all()


def test_a_few_pairs_are_enough_to_recognise_everything():
    protected = shuffled(IMAGES, 32, shared=True)
    threat_model = known(32)
    right = [
        np.mean(attacked(threat_model, protected, pairs, "independent") == TARGET)
        for pairs in (1, 2, 4)
    ]
    assert right[0] > 0.1
    assert right[1] > 0.6
    assert right[2] > 0.97


def test_a_key_of_the_library_that_serves_all_images():
    threat_model = mixing(IMAGES.shape[1:], 16)
    protect = jax.vmap(threat_model.protect, (None, 0))
    protected = np.asarray(protect(KEY, IMAGES))
    assert (attacked(threat_model, protected, 14, "independent") == TARGET).all()


def test_whole_images_without_regions():
    small = IMAGES[:, :24, :32]
    mixed = small[:, ::-1, ::-1]
    threat_model = known(None)
    restored = known_plaintext(
        KEY, mixed[14:], threat_model, originals=small[:14], pairs_protected=mixed[:14]
    )
    assert (np.asarray(restored) == small[14:]).all()


@pytest.mark.parametrize("channels", ["independent", "shared", "joint"])
@pytest.mark.parametrize("block", [1, 4])
def test_keys_of_their_own_give_nothing_away(channels, block):
    threat_model = known(32, block)
    protected = shuffled(IMAGES, 32, block, channels)
    seen = attacked(threat_model, protected, 14, channels)
    ratio = error(seen, TARGET) / error(protected[-2:], TARGET)
    assert 0.95 < ratio < 1.05  # as near as any other shuffle
    assert error(seen, protected[-2:]) > 0.9 * error(TARGET, protected[-2:])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pairs_protected": IMAGES[:2]}, "pairs_protected has shape .*pairs"),
        (
            {"originals": IMAGES[:3, :64], "pairs_protected": IMAGES[:3, :64]},
            "originals has images of .*64, 128, 3",
        ),
        ({"originals": IMAGES[0]}, "originals must be a batch"),
        ({"channels": "all"}, "channels must be one of .*'all'"),
    ],
)
def test_bad_pairs_are_named(change, words):
    pairs = {"originals": IMAGES[:3], "pairs_protected": IMAGES[:3]} | change
    with pytest.raises(ValueError, match=words):
        known_plaintext(KEY, TARGET, known(32), **pairs)


def test_a_block_that_does_not_divide_is_named():
    threat_model = known(32, 5)
    with pytest.raises(ValueError, match=r"threat_model.block of 5 does not divide"):
        known_plaintext(
            KEY, TARGET, threat_model, originals=IMAGES, pairs_protected=IMAGES
        )


@pytest.mark.parametrize(("method", "region"), [(methods.le, 4), (methods.ele, None)])
def test_half_bytes_come_back_if_a_key_is_shared(method, region):
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (16, 8, 8, 3), np.uint8)
    threat_model = ThreatModel(method, images, region=region)

    def protected(keys):
        return np.asarray(jax.vmap(method)(keys, images))

    attack = functools.partial(known_plaintext_half_bytes, KEY, originals=images[4:])
    shared = protected(jnp.broadcast_to(jax.random.key(0), (16,)))
    found = attack(shared[:4], threat_model, pairs_protected=shared[4:])
    np.testing.assert_array_equal(found, images[:4])
    own = protected(jax.random.split(jax.random.key(0), 16))
    found = attack(own[:4], threat_model, pairs_protected=own[4:])
    assert (np.asarray(found) == images[:4]).mean() < 0.05
