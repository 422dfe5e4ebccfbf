"""Vision Transformers, Ti and S.

With patches as large as the regions, every token is one region: its values in some
order.

References:
  Dosovitskiy et al., "An Image is Worth 16x16 Words" (ICLR 2021, arXiv 2010.11929),
  section 3.1. Ti and S after Touvron et al., "Training data-efficient image
  transformers" (ICML 2021, arXiv 2012.12877), table 1.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from train.models.layers import ModelEntry
from vmixjax.errors import RunError


class Block(nnx.Module):
    """Attention, then a perceptron, each behind a norm and beside a shortcut."""

    def __init__(self, width: int, heads: int, **options: Any) -> None:
        self.first = nnx.LayerNorm(width, **options)
        self.attention = nnx.MultiHeadAttention(heads, width, decode=False, **options)
        self.second = nnx.LayerNorm(width, **options)
        self.widen = nnx.Linear(width, 4 * width, **options)
        self.narrow = nnx.Linear(4 * width, width, **options)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, tokens, width) -> the same shape."""
        x = x + self.attention(self.first(x))
        return x + self.narrow(nnx.gelu(self.widen(self.second(x)), approximate=False))


class ViT(nnx.Module):
    """A Vision Transformer with a class token and learned position embeddings.

    Args:
      patch_size: Side of a patch in pixels; divides H and W.
      width: Channels of a token, as many for each head.
      heads: Heads of attention.
      depth: Number of blocks.

    Raises:
      RunError: Heads do not divide the width.
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
        **options: Any,
    ) -> None:
        if width % heads:
            raise RunError(
                f"--model.width {width} has no equal share for each of {heads} heads: "
                f"choose a multiple of {heads}, such as {heads * -(-width // heads)}"
            )
        height, wide, channels = shape
        rngs: nnx.Rngs = options["rngs"]
        patch = (patch_size, patch_size)
        self.embed = nnx.Conv(
            channels, width, patch, strides=patch_size, padding="VALID", **options
        )
        tokens = (height // patch_size) * (wide // patch_size) + 1
        normal = nnx.initializers.truncated_normal(0.02)
        self.token = nnx.Param(jnp.zeros((1, 1, width)))
        self.pos_embed = nnx.Param(normal(rngs.params(), (1, tokens, width)))
        self.blocks = nnx.List([Block(width, heads, **options) for _ in range(depth)])
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.head = nnx.Linear(width, classes, rngs=rngs)

    @property
    def widths(self) -> tuple[int, ...]:
        """See `PooledClassifier.widths`."""
        return (self.head.in_features,)

    def stages(self, x: jax.Array) -> list[jax.Array]:
        """What becomes of each patch: (B, H / patch_size, W / patch_size, width)."""
        rows, columns = (side // self.embed.kernel_size[0] for side in x.shape[1:3])
        tokens = self.norm(self._tokens(x)[:, 1:].astype(jnp.float32))
        return [tokens.reshape(len(x), rows, columns, -1)]

    def __call__(self, x: jax.Array) -> jax.Array:
        """Images (B, H, W, C), floating -> logits (B, classes), float32."""
        return self.head(self.norm(self._tokens(x)[:, 0].astype(jnp.float32)))

    def _tokens(self, x: jax.Array) -> jax.Array:
        """The class token, then those of patches."""
        x = self.embed(x)
        x = x.reshape(len(x), -1, x.shape[-1])
        token = jnp.broadcast_to(self.token[...], (len(x), 1, x.shape[-1]))
        x = jnp.concatenate([token.astype(x.dtype), x], axis=1)
        x = x + self.pos_embed[...].astype(x.dtype)
        for block in self.blocks:
            x = block(x)
        return x


vit_s = functools.partial(ViT, width=384, heads=6)
vit_ti = functools.partial(ViT, width=192, heads=3)

ENTRIES = (
    ModelEntry("vit_s", vit_s, ("patch_size", "width")),
    ModelEntry("vit_ti", vit_ti, ("patch_size", "width")),
)
