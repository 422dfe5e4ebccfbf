"""Per-image keys, derived from the owner's secret."""

import hashlib
import os

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax.config import MixConfig


def new_secret() -> bytes:
    """A secret from the operating system: 32 random bytes."""
    return os.urandom(32)


def image_id(
    name: str, image: np.ndarray, levels: np.ndarray, config: MixConfig
) -> bytes:
    """What names one mixing of one image: 16 bytes.

    Args:
      name: the image's name in the release.
      image: (H, W, C), the pixels that are to be mixed.
      levels: uint8 (H // T, W // T), the plan.
      config: what the levels mean.

    Returns:
      A digest of all of them. A file that is edited and mixed again, or mixed by
      another plan, has another id and so another key; the same work done again has
      the same. The digest of an original can be compared with guesses at it, so it
      stays in the vault.
    """
    digest = hashlib.blake2b(digest_size=16, person=b"vmixjax image id")
    for part in (
        name.encode("utf-8", "surrogateescape"),
        repr((config, image.shape, image.dtype.str)).encode(),
        levels.tobytes(),
        np.ascontiguousarray(image).tobytes(),
    ):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


def derive_key(secret: bytes, identity: bytes) -> jax.Array:
    """The key of an image: keyed BLAKE2b of its id, as one typed Threefry key.

    A key has 64 bits, so this is obfuscation with an audit and not encryption,
    however long the secret is.
    """
    words = hashlib.blake2b(
        identity, key=secret, digest_size=8, person=b"vmixjax key"
    ).digest()
    data = np.frombuffer(words, "<u4").astype(np.uint32)
    return jax.random.wrap_key_data(jnp.asarray(data), impl="threefry2x32")
