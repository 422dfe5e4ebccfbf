import numpy as np

from vmixjax import MixConfig
from vmixjax.data import pixels_digest
from vmixjax.keys import new_secret
from vmixjax.release.keys import derive_key, image_id

IMAGE = np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)
LEVELS = np.full((2, 2), 3, np.uint8)
SECRET = bytes(range(32))


def test_keys_are_what_they_were():
    identity = image_id("a/cat.png", pixels_digest(IMAGE), LEVELS, MixConfig())
    key = derive_key(SECRET, identity)
    assert identity.hex() == "b089c23fb2f55d90e1dd43e867457a40"
    assert key.dtype == np.uint32
    assert key.tobytes().hex() == (
        "76b61c26c3533b0b467fea24fb931f570a60ce5912fdb792ffef91065ffa34e6"
    )


def test_whatever_changes_the_work_changes_the_key():
    other_pixels = IMAGE.copy()
    other_pixels[5, 5, 1] ^= 1
    variants = [
        ("cat.png", IMAGE, LEVELS, MixConfig()),
        ("dog.png", IMAGE, LEVELS, MixConfig()),
        ("cat.png", other_pixels, LEVELS, MixConfig()),
        ("cat.png", IMAGE.reshape(32, 128, 3), LEVELS, MixConfig()),
        ("cat.png", IMAGE.astype(np.uint16), LEVELS, MixConfig()),
        ("cat.png", IMAGE, LEVELS - 1, MixConfig()),
        ("cat.png", IMAGE, LEVELS, MixConfig(channels="joint")),
    ]
    variants = [(name, pixels_digest(image), *how) for name, image, *how in variants]
    words = {tuple(derive_key(SECRET, image_id(*v)).tolist()) for v in variants}
    assert len(words) == len(variants)
    identity = image_id(*variants[0])
    other = derive_key(bytes(32), identity)
    assert tuple(other.tolist()) not in words


def test_secrets_are_32_bytes_and_never_the_same():
    assert len({new_secret() for _ in range(8)}) == 8
    assert len(new_secret()) == 32
