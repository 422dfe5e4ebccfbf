"""The jitted programs of a run, and what they take: for devices that need not be there.

To compile the step of a preset for an accelerator that this machine has not, lower it
for devices of a topology (`jax.experimental.topologies`):

    lowered = lower(PRESETS["imagenet100"], (224, 224, 3), 100, topology.devices[:1])
    lowered.compile().memory_analysis()
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from train import devices
from train.config import Config
from train.step import Batch, State, Steps


@dataclasses.dataclass(frozen=True)
class Programs:
    """What a run computes, jitted for the devices of its mesh.

    Attributes:
      state: Shapes, dtypes and shardings of the state.
      batch: Those of a batch.
      seed: The last argument of each.
      init: Makes the state before any step.
      train: Takes a step, in the memory of the state that it is given.
      test: Sums over a batch, see `Steps.test`.
    """

    state: State
    batch: Batch
    seed: np.uint32
    init: Callable[[np.uint32], State]
    train: Any
    test: Callable[[State, Batch, np.uint32], dict[str, jax.Array]]


def programs_of(steps: Steps, *, fsdp: bool) -> Programs:
    """Makes the programs of a run; with `fsdp`, each device holds a part of the state.

    Nothing is computed or compiled before one is called.
    """
    seed = np.uint32(steps.config.seed)
    placed = devices.placed(steps.mesh, jax.eval_shape(steps.init, seed), fsdp=fsdp)
    init = jax.jit(steps.init, out_shardings=placed)
    return Programs(
        state=jax.eval_shape(init, seed),
        batch=_batch(steps),
        seed=seed,
        init=init,
        train=jax.jit(steps.train, donate_argnums=0, out_shardings=(placed, None)),
        test=jax.jit(steps.test),
    )


def _batch(steps: Steps) -> Batch:
    """Shapes, dtypes and shardings of a batch."""
    count = steps.config.batch_size
    spread = devices.spread(steps.mesh)

    def of(shape: tuple[int, ...], dtype: jnp.dtype) -> Any:
        return jax.ShapeDtypeStruct((count, *shape), dtype, sharding=spread)

    numbers = of((), jnp.dtype(jnp.int32))
    image = of(steps.shape, jnp.dtype(jnp.uint8))
    targets = {name: of(a.shape, a.dtype) for name, a in steps.task.blank().items()}
    batch = {"image": image, **targets, "id": numbers}
    if steps.config.optimizer.distill:
        batch["soft_label"] = of((steps.classes,), jnp.dtype(jnp.float32))
    return batch


def lower(
    config: Config,
    shape: tuple[int, int, int],
    classes: int,
    on: Sequence[jax.Device] | None = None,
) -> jax.stages.Lowered:
    """Lowers the training step of a config; nothing runs on any device.

    Args:
      config: The config, such as one of `train.presets.PRESETS`.
      shape: (H, W, C) of the images.
      classes: Number of classes.
      on: Devices to lower it for, which need not be there; all that are, by default.

    Raises:
      RunError: The config does not fit the images, or its batches the devices.
    """
    steps = Steps(config, shape, classes, devices.mesh(config.batch_size, on))
    programs = programs_of(steps, fsdp=config.fsdp)
    arguments = (programs.state, programs.batch, programs.seed)
    lowered: jax.stages.Lowered = programs.train.lower(*arguments)
    return lowered
