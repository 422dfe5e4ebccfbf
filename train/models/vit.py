"""Vision Transformers: Dosovitskiy et al., "An Image is Worth 16x16 Words" (ICLR 2021).

Ti and S after Touvron et al., "Training data-efficient image transformers" (ICML 2021).
With patches as large as the regions, every token is one region: its values in some
order.
"""

import functools

import jax
import jax.numpy as jnp
from flax import nnx


class Block(nnx.Module):
    """Attention, then a perceptron, each behind a norm and beside a shortcut."""

    def __init__(
        self, width: int, heads: int, *, dtype: jnp.dtype | None, rngs: nnx.Rngs
    ) -> None:
        self.first = nnx.LayerNorm(width, dtype=dtype, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(
            heads, width, decode=False, dtype=dtype, rngs=rngs
        )
        self.second = nnx.LayerNorm(width, dtype=dtype, rngs=rngs)
        self.widen = nnx.Linear(width, 4 * width, dtype=dtype, rngs=rngs)
        self.narrow = nnx.Linear(4 * width, width, dtype=dtype, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, tokens, width) -> the same shape."""
        x = x + self.attention(self.first(x))
        return x + self.narrow(nnx.gelu(self.widen(self.second(x)), approximate=False))


class ViT(nnx.Module):
    """A Vision Transformer with a class token and learned places.

    Args:
      shape: (H, W, C) of the images.
      classes: how many there are.
      patch_size: side of a patch in pixels; divides H and W.
      width: of a token.
      heads: of attention.
      depth: blocks.
      dtype: that is computed in; parameters are float32.
      rngs: for the first parameters.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        *,
        patch_size: int = 16,
        width: int = 192,
        heads: int = 3,
        depth: int = 12,
        dtype: jnp.dtype | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        height, wide, channels = shape
        self.embed = nnx.Conv(
            channels,
            width,
            (patch_size, patch_size),
            strides=patch_size,
            padding="VALID",
            dtype=dtype,
            rngs=rngs,
        )
        tokens = (height // patch_size) * (wide // patch_size) + 1
        normal = nnx.initializers.truncated_normal(0.02)
        self.token = nnx.Param(jnp.zeros((1, 1, width)))
        self.places = nnx.Param(normal(rngs.params(), (1, tokens, width)))
        self.blocks = nnx.List(
            [Block(width, heads, dtype=dtype, rngs=rngs) for _ in range(depth)]
        )
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.head = nnx.Linear(width, classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Images (B, H, W, C), floating -> logits (B, classes), float32."""
        x = self.embed(x)
        x = x.reshape(len(x), -1, x.shape[-1])
        token = jnp.broadcast_to(self.token[...], (len(x), 1, x.shape[-1]))
        x = jnp.concatenate([token.astype(x.dtype), x], axis=1)
        x = x + self.places[...].astype(x.dtype)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x[:, 0].astype(jnp.float32)))


vit_ti = functools.partial(ViT, width=192, heads=3)
vit_s = functools.partial(ViT, width=384, heads=6)
