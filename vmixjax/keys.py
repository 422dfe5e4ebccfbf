"""Keys: from an owner's secret, one for each image.

>>> import vmixjax
>>> key = vmixjax.key(vmixjax.new_secret())
>>> key.shape, key.dtype
((), key<chacha8>)
>>> one, other = vmixjax.image_key(key, 0), vmixjax.image_key(key, 1)

Such a key has 256 bits, and `jax.random.split`, `fold_in`, all that draws from them,
`vmap`, `jit` and sharding treat it as any other. Inside a training step a plain
Threefry key will do, as `jax.random.key(seed)` makes it: there a key protects nothing
from whoever runs the step. It must not be used for what leaves the house: a seed sets
32 of its 64 bits, and ten core-hours try all seeds on one mixed photograph. JAX shows
the words of any key that is printed: neither print one nor log it.
"""

import os

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax import _validate
from vmixjax._shuffle.prng import CHACHA8

SECRET_BYTES = 32


def new_secret() -> bytes:
    """Draws a secret: 32 random bytes from the operating system.

    Returns:
      The bytes, which only the owner of the images must ever have.

    References:
      Ours.

    >>> len(new_secret())
    32
    """
    return os.urandom(SECRET_BYTES)


def key(secret: bytes) -> jax.Array:
    """Makes a typed key of 256 bits from a secret.

    Args:
      secret: 32 random bytes, such as `new_secret` gives. What somebody made up,
        somebody can guess.

    Returns:
      One typed JAX key, of shape (). The secret is the key of ChaCha8, as its authors
      order the bytes.

    Raises:
      TypeError: A secret that is text, or anything but bytes.
      ValueError: Fewer bytes than 32, or more.

    References:
      Bernstein, "ChaCha, a variant of Salsa20" (2008).

    >>> key(bytes(range(32))).dtype
    key<chacha8>
    """
    _validate.secret(secret, SECRET_BYTES)
    words = np.frombuffer(secret, "<u4").astype(np.uint32)
    return jax.random.wrap_key_data(jnp.asarray(words), impl=CHACHA8)


def image_key(
    key: jax.Array,
    image_id: jax.typing.ArrayLike | tuple[jax.typing.ArrayLike, jax.typing.ArrayLike],
) -> jax.Array:
    """Derives the key of one image from the key of a data set or a training step.

    Args:
      key: One typed key, from `vmixjax.key` or Threefry.
      image_id: An integer from 0 to 2^64 - 1 that no other image under `key` has; or
        its lower and higher 32 bits, (low, high): without `jax_enable_x64`, JAX cuts
        arrays of 64 bits to the lower 32 wherever it traces them, as under `jax.vmap`.
        A traced negative one counts as that much less than 2^64.

    Returns:
      One typed key of the same kind: `jax.random.fold_in` of the lower 32 bits, and of
      the higher where they are not 0.

    Raises:
      TypeError: A key of another kind, an id that is no integer.
      ValueError: An array of keys or of ids, an id out of range.

    References:
      Ours. The paper shares one permutation between the images of a batch.

    >>> import jax
    >>> ids = jax.numpy.arange(4)
    >>> data_set = jax.random.key(0)
    >>> jax.vmap(image_key, in_axes=(None, 0))(data_set, ids).shape
    (4,)
    >>> bool(image_key(data_set, 2**32 + 5) == image_key(data_set, (5, 1)))
    True
    """
    _validate.key(key)
    low, high = _validate.image_id(image_id)
    short = jax.random.fold_in(key, low)
    if isinstance(high, int) and high == 0:
        return short
    high = jnp.asarray(high, jnp.uint32)
    return jnp.where(high == 0, short, jax.random.fold_in(short, high))
