"""A small U-Net: sees detail and surroundings at once, for images of any size."""

import functools

import jax
from flax import nnx

from vmixjax._grid import fold, unfold
from vmixjax.networks.inputs import pad_to


class UNet(nnx.Module):
    """Halves the grid `depth` times and doubles it again, with skips between.

    References:
      Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image
      Segmentation", 2015, section 2 (arXiv 1505.04597), for the U and its skips.
      Residual blocks with a layer norm, and squares that become channels instead of
      strides, are our choice.
    """

    def __init__(
        self, inputs: int, outputs: int, *, width: int, depth: int, rngs: nnx.Rngs
    ) -> None:
        """Makes a network from `inputs` to `outputs` channels.

        Args:
          inputs: channels of what comes in.
          outputs: channels of what goes out, which start as zeros.
          width: channels at the finest grid; each coarser one has twice as many.
          depth: how many coarser grids there are.
          rngs: of the initial weights.
        """
        self.depth = depth
        conv = functools.partial(nnx.Conv, rngs=rngs)
        widths = [width * 2**level for level in range(depth + 1)]
        self.stem = conv(inputs, width, (3, 3))
        self.down = nnx.List([_Block(w, rngs=rngs) for w in widths[:-1]])
        self.halve = nnx.List([conv(4 * w, 2 * w, (1, 1)) for w in widths[:-1]])
        self.bottom = nnx.List([_Block(widths[-1], rngs=rngs) for _ in range(2)])
        self.double = nnx.List([conv(2 * w, 4 * w, (1, 1)) for w in widths[:-1]])
        self.up = nnx.List([_Block(w, rngs=rngs) for w in widths[:-1]])
        zeros = nnx.initializers.zeros
        self.head = conv(width, outputs, (3, 3), kernel_init=zeros)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Computes (B, H, W, outputs) from (B, H, W, inputs), floating, any H and W."""
        height, width = x.shape[1:3]
        x = self.stem(pad_to(x, 2**self.depth))
        skips = []
        for block, halve in zip(self.down, self.halve, strict=True):
            x = block(x)
            skips.append(x)
            x = halve(fold(x, 2))
        for block in self.bottom:
            x = block(x)
        for level in reversed(range(self.depth)):
            x = self.up[level](unfold(self.double[level](x), 2) + skips[level])
        return self.head(x)[:, :height, :width]


class _Block(nnx.Module):
    def __init__(self, width: int, *, rngs: nnx.Rngs) -> None:
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.first = nnx.Conv(width, width, (3, 3), rngs=rngs)
        self.second = nnx.Conv(width, width, (3, 3), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return x + self.second(nnx.gelu(self.first(self.norm(x))))
