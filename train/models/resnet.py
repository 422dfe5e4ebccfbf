"""ResNets of basic and of bottleneck blocks.

References:
  He et al., "Deep Residual Learning for Image Recognition" (CVPR 2016, arXiv
  1512.03385), table 1. The bottleneck has its stride in the 3 x 3 convolution, as most
  published weights do.
"""

import functools
from typing import Any

import jax
from flax import nnx

from train.models.layers import ConvNorm, ModelEntry, PooledClassifier
from train.models.stems import STEMS, StemName


class BasicBlock(nnx.Module):
    """Two 3 x 3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, **options: Any) -> None:
        self.first = ConvNorm(inputs, width, 3, stride=stride, **options)
        self.second = ConvNorm(width, width, 3, relu=False, **options)
        self.shortcut = _shortcut(inputs, width, stride, **options)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, inputs) -> (B, H / stride, W / stride, width)."""
        return _add(self.shortcut, x, self.second(self.first(x)))


class Bottleneck(nnx.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions and a shortcut."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, **options: Any) -> None:
        outputs = self.expansion * width
        self.first = ConvNorm(inputs, width, 1, **options)
        self.second = ConvNorm(width, width, 3, stride=stride, **options)
        self.third = ConvNorm(width, outputs, 1, relu=False, **options)
        self.shortcut = _shortcut(inputs, outputs, stride, **options)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, inputs) -> (B, H / stride, W / stride, 4 * width)."""
        return _add(self.shortcut, x, self.third(self.second(self.first(x))))


def _shortcut(
    inputs: int, outputs: int, stride: int, **options: Any
) -> ConvNorm | None:
    """A projection where the shape changes."""
    if stride == 1 and inputs == outputs:
        return None
    return ConvNorm(inputs, outputs, 1, stride=stride, relu=False, **options)


def _add(shortcut: ConvNorm | None, x: jax.Array, residual: jax.Array) -> jax.Array:
    return nnx.relu((x if shortcut is None else shortcut(x)) + residual)


class ResNet(PooledClassifier):
    """Stages of residual blocks, each twice as wide and half as large as the last.

    Args:
      blocks: Number of blocks in each stage.
      block: Kind of them.
      width: Channels of the first stage.
      stem, patch_size, skipped_strides: As `stem_options` gives them: strides are
        skipped, first ones first, where the inputs or the stem are coarse already.
      factor: As `widened_options` gives it; None for what the stem has.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        *,
        blocks: tuple[int, ...],
        block: type[BasicBlock] | type[Bottleneck],
        width: int = 64,
        stem: StemName = "imagenet",
        patch_size: int = 4,
        skipped_strides: int = 0,
        factor: int | None = None,
        **options: Any,
    ) -> None:
        spread = {} if factor is None else {"factor": factor}
        make = STEMS[stem].make
        self.stem = make(shape[2], width, 7, patch_size, **spread, **options)
        inputs, stages = width, list[nnx.Module]()
        coarser, widths = list[int](), list[int]()
        for stage, count in enumerate(blocks):
            for i in range(count):
                stride = 2 if i == 0 and stage > skipped_strides else 1
                if stride > 1:
                    coarser.append(len(stages))
                    widths.append(inputs)
                stages.append(block(inputs, width << stage, stride, **options))
                inputs = (width << stage) * block.expansion
        self.blocks = nnx.List(stages)
        self._coarser, self._widths = tuple(coarser), tuple(widths)
        self.head = nnx.Linear(inputs, classes, rngs=options["rngs"])

    @property
    def widths(self) -> tuple[int, ...]:
        """See `PooledClassifier.widths`."""
        return (*self._widths, self.head.in_features)

    def stages(self, x: jax.Array) -> list[jax.Array]:
        """What blocks with a stride are given, and what the last one gives."""
        x = self.stem(x)
        found = []
        for i, block in enumerate(self.blocks):
            if i in self._coarser:
                found.append(x)
            x = block(x)
        return [*found, x]

    def features(self, x: jax.Array) -> jax.Array:
        """See `PooledClassifier.features`."""
        return self.stages(x)[-1]


resnet8 = functools.partial(ResNet, blocks=(1, 1, 1), block=BasicBlock, width=32)
resnet18 = functools.partial(ResNet, blocks=(2, 2, 2, 2), block=BasicBlock)
resnet50 = functools.partial(ResNet, blocks=(3, 4, 6, 3), block=Bottleneck)

ENTRIES = (
    ModelEntry("resnet8", resnet8, ("stem", "width")),
    ModelEntry("resnet18", resnet18, ("stem", "width")),
    ModelEntry("resnet50", resnet50, ("stem", "width")),
)
