"""Checks of arguments: each error names the argument, its value and the mend.

What a shape, a dtype or a Python number can tell is checked here, before anything
is traced. Values inside traced arrays cannot be looked at; the functions say what
they do with such.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax._shuffle.prng import IMPLEMENTATIONS
from vmixjax._shuffle.stages import LARGEST_BASE, factors
from vmixjax.config import MixConfig

LONGEST_SIDE = 65_535
"""Positions are counted in 16 bits."""


def config(value: object) -> None:
    """Refuses whatever is not a `MixConfig`."""
    if not isinstance(value, MixConfig):
        raise TypeError(f"config must be a vmixjax.MixConfig; got {value!r}")


def image(value: jax.typing.ArrayLike, tile_size: int | None = None) -> jax.Array:
    """An image as a JAX array, or an error that says what is wrong with it."""
    value = native(value)
    array = value if isinstance(value, jax.Array) else jnp.asarray(value)
    if array.dtype != getattr(value, "dtype", array.dtype):
        raise TypeError(
            f"image is {value.dtype}, which JAX would cut to {array.dtype}: convert "  # type: ignore[union-attr]
            f"it with image.astype(...), or set jax_enable_x64"
        )
    if array.ndim != 3:
        raise ValueError(
            f"image must be one (H, W, C) array; got shape {array.shape}. For a "
            f"batch use jax.vmap; for grey, image[..., None]"
        )
    floating = jnp.issubdtype(array.dtype, jnp.floating)
    if not floating and array.dtype not in (jnp.uint8, jnp.uint16):
        raise TypeError(
            f"image must be uint8, uint16 or floating; got {array.dtype}. "
            f"Convert it with image.astype(...)"
        )
    image_shape(array.shape, tile_size)
    return array


def native(value: jax.typing.ArrayLike) -> jax.typing.ArrayLike:
    """The same in this machine's order of bytes, the only one that JAX knows."""
    if isinstance(value, np.ndarray) and not value.dtype.isnative:
        return value.astype(value.dtype.newbyteorder("="))
    return value


def image_shape(shape: tuple[int, ...], tile_size: int | None = None) -> None:
    """Refuses a shape that is not (H, W, C), or not made of whole tiles."""
    if len(shape) != 3:
        raise ValueError(f"image_shape must be (H, W, C); got {tuple(shape)}")
    height, width, channels = shape
    if min(shape) < 1 or max(height, width) > LONGEST_SIDE or channels > LONGEST_SIDE:
        raise ValueError(
            f"image has shape {tuple(shape)}: sides and channels must be 1 to "
            f"{LONGEST_SIDE}"
        )
    if math.prod(shape) > np.iinfo(np.int32).max:
        raise ValueError(
            f"image has {math.prod(shape)} values; at most {np.iinfo(np.int32).max} "
            f"can be indexed. Cut it into parts"
        )
    if tile_size is not None and (height % tile_size or width % tile_size):
        raise ValueError(
            f"image of {height} x {width} is not made of whole tiles of {tile_size}: "
            f"pad or crop it to {-(-height // tile_size) * tile_size} x "
            f"{-(-width // tile_size) * tile_size}, or choose another tile_size"
        )


def uint8(name: str, value: jax.typing.ArrayLike) -> jax.Array:
    """Bytes as a JAX array, or an error that says what is wrong with them."""
    array = jnp.asarray(native(value))
    # JAX would narrow 64 bits before anybody hears of them.
    dtype = getattr(value, "dtype", array.dtype)
    if dtype != jnp.uint8:
        raise TypeError(
            f"{name} must be uint8; got {dtype}. Scale it to 0 to 255 and "
            f"convert it with {name}.astype(np.uint8)"
        )
    return array


def images(name: str, value: jax.typing.ArrayLike, *, fewest: int = 1) -> jax.Array:
    """A uint8 batch (B, H, W, C) as a JAX array, or an error that says why not."""
    array = uint8(name, value)
    if array.ndim != 4 or 0 in array.shape:
        raise ValueError(
            f"{name} must be a batch (B, H, W, C); got shape {array.shape}. For one "
            f"image, {name}[None]"
        )
    if len(array) < fewest:
        raise ValueError(f"{name} must be at least {fewest} images; got {len(array)}")
    return array


def labels(name: str, value: jax.typing.ArrayLike | None, count: int) -> jax.Array:
    """Classes of so many images, int32 (B,), or an error that says what is wrong."""
    if value is None:
        raise ValueError(f"{name} must be given: one class for each image")
    array = jnp.asarray(native(value))
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise TypeError(f"{name} must be integers; got {array.dtype}")
    if array.shape != (count,):
        raise ValueError(
            f"{name} must be one for each image, shape {(count,)}; got {array.shape}"
        )
    at_least(name, int(array.min()), 0)
    return array.astype(jnp.int32)


def probabilities(
    name: str, value: jax.typing.ArrayLike, count: int, classes: int | None = None
) -> jax.Array:
    """Soft labels of so many images, float32 (B, C), or an error that says why not."""
    array = jnp.asarray(native(value))
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(f"{name} must be integers (B,), or floating; got {array.dtype}")
    shape = (count, array.shape[-1] if classes is None else classes)
    if array.shape != shape or 0 in shape:
        raise ValueError(
            f"{name} must be one row for each image, and in it one number for each "
            f"class, shape {shape}; got {array.shape}"
        )
    sums = np.asarray(array, np.float64).sum(1)
    if not (np.asarray(array) >= 0).all() or not np.allclose(sums, 1, atol=1e-3):
        raise ValueError(
            f"{name} must be at least 0, and of sum 1 in each row; got sums of "
            f"{sums.min():.4g} to {sums.max():.4g} and a lowest of {array.min():.4g}. "
            f"jax.nn.softmax makes such of logits"
        )
    return array.astype(jnp.float32)


def at_least(name: str, value: float, least: int) -> None:
    """Refuses a number below the least that makes sense."""
    if not value >= least:
        raise ValueError(f"{name} must be at least {least}; got {value}")


def size(name: str, value: int) -> None:
    """Refuses whatever is not a positive Python integer."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a positive integer; got {value!r}")


def secret(value: object, length: int) -> None:
    """Refuses whatever is not so many bytes. No message says what they are."""
    if not isinstance(value, bytes):
        raise TypeError(
            f"secret must be bytes; got {type(value).__name__}. vmixjax.new_secret() "
            f"draws them"
        )
    if len(value) != length:
        raise ValueError(
            f"secret must be {length} random bytes; got {len(value)}. "
            f"vmixjax.new_secret() draws them"
        )


def key(value: object) -> None:
    """Refuses whatever is not one typed key that can mix."""
    mend = (
        "Make one with vmixjax.key(vmixjax.new_secret()), or for a training step with "
        "jax.random.key(seed, impl='threefry2x32')"
    )
    if not isinstance(value, jax.Array) or not jnp.issubdtype(
        value.dtype, jax.dtypes.prng_key
    ):
        # The value itself is left out: a raw key is a secret.
        raise TypeError(
            f"key must be a typed JAX PRNG key; got {type(value).__name__}. {mend}, "
            f"or wrap raw words with jax.random.wrap_key_data"
        )
    if jax.random.key_impl(value) not in IMPLEMENTATIONS:
        raise TypeError(
            f"key must be vmixjax's own or Threefry-2x32, so that it means the same "
            f"bytes everywhere; got {jax.random.key_impl(value)}. {mend}"
        )
    if value.shape != ():
        raise ValueError(
            f"key must be one key; got an array of keys of shape {value.shape}. "
            f"For a batch use jax.vmap"
        )


def image_id(value: object) -> tuple[jax.typing.ArrayLike, jax.typing.ArrayLike]:
    """The lower and higher 32 bits of an id, or an error if it is none.

    Returns:
      Both as uint32; but the higher as a Python integer where it is known.
    """
    if not isinstance(value, tuple):
        return _halves(value)
    halves = [_halves(part) for part in value]
    if len(halves) != 2 or any(isinstance(high, int) and high for _, high in halves):
        raise ValueError(
            f"image_id must be an integer, or its lower and its higher 32 bits; got "
            f"{value}"
        )
    return halves[0][0], halves[1][0]


def _halves(value: object) -> tuple[jax.typing.ArrayLike, jax.typing.ArrayLike]:
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        if not 0 <= value < 2**64:
            raise ValueError(f"image_id must be 0 to 2^64 - 1; got {value}")
        return np.uint32(int(value) % 2**32), int(value) >> 32
    if not isinstance(value, jax.Array | np.ndarray) or not jnp.issubdtype(
        value.dtype, jnp.integer
    ):
        raise TypeError(f"image_id must be an integer; got {value!r}")
    if value.shape != ():
        raise ValueError(
            f"image_id must be one integer; got shape {value.shape}. For a batch use "
            f"jax.vmap"
        )
    if _can_be_looked_at(value):
        return _halves(int(value))
    if value.dtype.itemsize == 8:
        return value.astype(np.uint32), (value >> 32).astype(np.uint32)
    if jnp.issubdtype(value.dtype, jnp.unsignedinteger):
        return value.astype(np.uint32), 0
    # The sign goes on above, as it does in 64 bits: no two ids have one key.
    return value.astype(np.uint32), (value.astype(np.int32) >> 31).astype(np.uint32)


def target_vfe(value: jax.typing.ArrayLike) -> None:
    """Refuses a target that is not a number of at least 0."""
    if np.shape(value) != ():
        raise ValueError(
            f"target_vfe must be one number; got shape {np.shape(value)}. "
            f"For a batch use jax.vmap"
        )
    if _can_be_looked_at(value):
        number = float(np.asarray(value))
        if math.isnan(number) or number < 0:
            raise ValueError(
                f"target_vfe must be a number of at least 0; got {number}. "
                f"vfe_range tells what can be reached"
            )


def sensitivity(value: jax.typing.ArrayLike, grid: tuple[int, int]) -> jax.Array:
    """A sensitivity map as an array, or an error that says what is wrong with it."""
    if np.shape(value) != grid:
        raise ValueError(
            f"sensitivity must have one value per tile, shape {grid}; "
            f"got {np.shape(value)}"
        )
    if _can_be_looked_at(value):
        host = np.asarray(value, np.float32)
        if np.isnan(host).any() or (host < 0).any():
            raise ValueError(
                "sensitivity must be numbers of at least 0, where 0 means not "
                f"private; got a lowest of {host.min()}"
            )
    return jnp.asarray(value, jnp.float32)


def _can_be_looked_at(value: object) -> bool:
    """Not while traced, nor where parts of an array lie on other hosts."""
    if isinstance(value, jax.core.Tracer):
        return False
    return not isinstance(value, jax.Array) or value.is_fully_addressable


def levels(value: jax.Array, shape: tuple[int, ...], config: MixConfig) -> None:
    """Refuses levels of another image's shape, or that the ladder does not have."""
    tile = config.tile_size
    grid = (shape[0] // tile, shape[1] // tile)
    if value.shape != grid:
        raise ValueError(
            f"plan has levels of shape {value.shape}, but an image of {shape[0]} x "
            f"{shape[1]} has {grid} tiles of {tile}; use the plan of this image"
        )
    if value.dtype != jnp.uint8:
        raise TypeError(f"plan has levels of {value.dtype}; they must be uint8")
    if _can_be_looked_at(value):
        highest = int(np.asarray(value).max())
        if highest > len(config.ladder):
            raise ValueError(
                f"plan has a level of {highest}, but the ladder of its config has "
                f"{len(config.ladder)}; use the config that it was made with"
            )


def grid_of_blocks(value: MixConfig, channels: int) -> None:
    """Refuses counts of blocks, or channels to mix, with too large a prime factor."""
    counts = {region // block: (region, block) for region, block in value.ladder}
    for count, (region, block) in counts.items():
        if factors(count)[0] > LARGEST_BASE:
            raise ValueError(
                f"config has regions of {count} x {count} blocks ({region} and {block} "
                f"pixels), and {count} has the prime factor {factors(count)[0]}; "
                f"factors up to {LARGEST_BASE} can be permuted. Choose sizes such as "
                f"powers of 2, and pad the image"
            )
    mixed = channels if value.crosses_channels else 1
    if mixed > 1 and factors(mixed)[0] > LARGEST_BASE:
        raise ValueError(
            f"image has {channels} channels, with the prime factor "
            f"{factors(channels)[0]}; factors up to {LARGEST_BASE} can be mixed "
            f"jointly. Choose channels='independent'"
        )
