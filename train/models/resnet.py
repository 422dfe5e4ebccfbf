"""ResNets: He et al., "Deep Residual Learning for Image Recognition" (CVPR 2016).

The bottleneck has its stride in the 3 x 3 convolution, as most published weights do.
"""

import functools
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from train.models.layers import ConvNorm, Spread, classify

Stem = Literal["imagenet", "cifar", "patch", "spread"]
"""How an image becomes features.

`"imagenet"`, 7 x 7 with stride 2, then max pooling; `"cifar"`, 3 x 3 as it is;
`"patch"`, squares of p x p pixels, each by itself: with p the size of the regions, the
first layer sees whole regions and nothing of their neighbours; `"spread"`, for inputs
that hold a region in each place, see `train.models.layers.Spread`.
"""


class BasicBlock(nnx.Module):
    """Two 3 x 3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, **options: Any) -> None:
        self.first = ConvNorm(inputs, width, 3, stride=stride, **options)
        self.second = ConvNorm(width, width, 3, relu=False, **options)
        self.shortcut = (
            ConvNorm(inputs, width, 1, stride=stride, relu=False, **options)
            if stride > 1 or inputs != width
            else None
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, inputs) -> (B, H / stride, W / stride, width)."""
        straight = x if self.shortcut is None else self.shortcut(x)
        return nnx.relu(straight + self.second(self.first(x)))


class Bottleneck(nnx.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions and a shortcut."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, **options: Any) -> None:
        outputs = self.expansion * width
        self.first = ConvNorm(inputs, width, 1, **options)
        self.second = ConvNorm(width, width, 3, stride=stride, **options)
        self.third = ConvNorm(width, outputs, 1, relu=False, **options)
        self.shortcut = (
            ConvNorm(inputs, outputs, 1, stride=stride, relu=False, **options)
            if stride > 1 or inputs != outputs
            else None
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, inputs) -> (B, H / stride, W / stride, 4 * width)."""
        straight = x if self.shortcut is None else self.shortcut(x)
        return nnx.relu(straight + self.third(self.second(self.first(x))))


class ResNet(nnx.Module):
    """Stages of residual blocks, each twice as wide and half as large as the last.

    Args:
      shape: (H, W, C) of the images.
      classes: how many there are.
      blocks: how many in each stage.
      block: of which kind.
      width: of the first stage.
      stem: see `Stem`.
      patch_size: p of the patch stem.
      saved: strides, first ones first, that stages go without, because the inputs are
        coarse already or the stem makes them so.
      dtype: that is computed in; parameters are float32.
      rngs: for the first parameters.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        *,
        blocks: tuple[int, ...],
        block: type[BasicBlock] | type[Bottleneck],
        width: int = 64,
        stem: Stem = "imagenet",
        patch_size: int = 4,
        saved: int = 0,
        dtype: jnp.dtype | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        options: dict[str, Any] = {"dtype": dtype, "rngs": rngs}
        inputs = shape[2]
        self.pool = stem == "imagenet"
        strides = [2 if stage > saved else 1 for stage in range(len(blocks))]
        if stem == "patch":
            self.stem: nnx.Module = ConvNorm(
                inputs, width, patch_size, stride=patch_size, padding="VALID", **options
            )
        elif stem == "spread":
            self.stem = Spread(inputs, width, **options)
        elif stem == "cifar":
            self.stem = ConvNorm(inputs, width, 3, **options)
        else:
            self.stem = ConvNorm(inputs, width, 7, stride=2, padding=(3, 3), **options)
        inputs, stages = width, []
        for stage, (count, stride) in enumerate(zip(blocks, strides, strict=True)):
            for i in range(count):
                stages.append(
                    block(inputs, width << stage, stride if i == 0 else 1, **options)
                )
                inputs = (width << stage) * block.expansion
        self.blocks = nnx.List(stages)
        self.head = nnx.Linear(inputs, classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Images (B, H, W, C), floating -> logits (B, classes), float32."""
        x = self.stem(x)
        if self.pool:
            x = nnx.max_pool(x, (3, 3), (2, 2), padding=((1, 1), (1, 1)))
        for block in self.blocks:
            x = block(x)
        return classify(self.head, x)


resnet8 = functools.partial(ResNet, blocks=(1, 1, 1), block=BasicBlock, width=32)
resnet18 = functools.partial(ResNet, blocks=(2, 2, 2, 2), block=BasicBlock)
resnet50 = functools.partial(ResNet, blocks=(3, 4, 6, 3), block=Bottleneck)
