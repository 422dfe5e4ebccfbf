"""Which device holds what: images spread over all of them, parameters copied or spread.

One mesh with one axis. Everything else follows from where the arrays of a step lie.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from vmixjax.errors import RunError

AXIS = "batch"


def mesh(batch_size: int, on: Sequence[jax.Device] | None = None) -> Mesh:
    """Puts devices in a row: by default all devices of all processes.

    Raises:
      RunError: The batch cannot be shared out evenly.
    """
    count = jax.device_count() if on is None else len(on)
    if batch_size % count:
        nearest = max(count, round(batch_size / count) * count)
        raise RunError(
            f"--batch-size {batch_size} cannot be shared out over {count} devices: "
            f"use a multiple, such as {nearest}"
        )
    return jax.make_mesh((count,), (AXIS,), axis_types=(AxisType.Auto,), devices=on)


def shared(mesh: Mesh, count: int) -> int:
    """Rounds a count of images up, so that each device takes as many."""
    return -(-count // mesh.size) * mesh.size


def has_bfloat16(mesh: Mesh) -> bool:
    """Whether its devices, which need not be there, compute faster in bfloat16.

    TPUs and GPUs do, but for NVIDIA's from before Ampere, such as the T4.
    """
    device = mesh.devices.flat[0]
    old = getattr(device, "compute_capability", "").startswith(("5.", "6.", "7."))
    return device.platform in ("gpu", "tpu") and not old


def spread(mesh: Mesh) -> NamedSharding:
    """Spreads images, labels and keys along their first axis."""
    return NamedSharding(mesh, PartitionSpec(AXIS))


def placed(mesh: Mesh, tree: Any, *, fsdp: bool) -> Any:
    """Places the arrays of a tree of abstract arrays.

    A copy on each device or, with `fsdp`, each array spread along its longest axis that
    the devices share evenly (arrays that have none, and small ones, are copied).
    """

    def place(leaf: jax.ShapeDtypeStruct) -> NamedSharding:
        spec: list[str | None] = [None] * leaf.ndim
        axes = [i for i, side in enumerate(leaf.shape) if side % mesh.size == 0]
        if fsdp and axes and leaf.size >= 1024:
            spec[max(axes, key=lambda i: leaf.shape[i])] = AXIS
        return NamedSharding(mesh, PartitionSpec(*spec))

    return jax.tree.map(place, tree)


def gathered(mesh: Mesh, tree: Any) -> Any:
    """Gives each device all of the arrays of a tree, inside a step.

    Else a layer whose weights are spread would spread the channels of its features too,
    and send these from device to device instead.
    """
    everywhere = NamedSharding(mesh, PartitionSpec())
    return jax.lax.with_sharding_constraint(tree, everywhere)


def on_devices(
    sharding: NamedSharding, batch: dict[str, np.ndarray]
) -> dict[str, jax.Array]:
    """Makes this process's part of a batch part of the batch over all devices."""
    return {
        name: jax.make_array_from_process_local_data(sharding, values)
        for name, values in batch.items()
    }
