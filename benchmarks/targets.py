"""Accelerators that programs are compiled for without having one.

The compiler for TPUs comes with `pip install libtpu`, that for GPUs with
`pip install 'jax[cuda12]'`; neither asks for a device.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import topologies
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

AXIS = "batch"
_H100 = Path(__file__).with_name("h100.txtpb")


class Target(NamedTuple):
    """A kind of accelerator.

    Attributes:
      title: its name in tables.
      memory: bytes of each.
      chips: how many there would be.
      describe: gives the devices that there would be.
      package: brings the compiler.
    """

    title: str
    memory: int
    chips: int
    describe: Callable[[], Any]
    package: str


def _tpu(name: str) -> Callable[[], Any]:
    return lambda: topologies.get_topology_desc(platform="tpu", topology_name=name)


def _gpu() -> Any:
    return topologies.get_topology_desc(
        platform="cuda",
        topology_name="",
        topology="1x1x1",
        target_config=_H100.read_text(),
    )


TARGETS = {
    "v5e": Target("TPU v5e", 16 * 2**30, 4, _tpu("v5e:2x2"), "libtpu"),
    "v6e": Target("TPU v6e", 32 * 2**30, 4, _tpu("v6e:2x2"), "libtpu"),
    "h100": Target("H100 SXM", 80 * 2**30, 1, _gpu, "'jax[cuda12]'"),
}
"""By the names that options have."""


class Program(NamedTuple):
    """What a compiler tells of a program.

    Attributes:
      text: its HLO after all passes.
      memory: what XLA says it needs.
      flops: what XLA says it computes; None where it does not.
      accessed: bytes that it reads and writes by XLA's count, or None.
      trace, compile: seconds that these took.
      cpu: seconds of processors that both took, which a busy machine changes less.
    """

    text: str
    memory: Any
    flops: float | None
    accessed: float | None
    trace: float
    compile: float
    cpu: float


def without_devices() -> None:
    """Makes JAX and the compilers look for no accelerator; before anything else."""
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_compilation_cache", False)
    os.environ |= {
        "TPU_SKIP_MDS_QUERY": "1",
        "TPU_ACCELERATOR_TYPE": "v5litepod-4",
        "TPU_WORKER_HOSTNAMES": "localhost",
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    }
    # Both would run kernels on the device to find the fastest.
    flags = "--xla_gpu_enable_triton_gemm=false --xla_gpu_autotune_level=0"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()


def mesh(name: str, count: int = 1) -> Mesh:
    """Puts devices of a target in a row.

    Raises:
      SystemExit: There is no compiler for it; in one line.
    """
    target = TARGETS[name]
    try:
        devices = target.describe().devices
    except Exception as error:
        raise SystemExit(
            f"cannot compile for {name}: {str(error).splitlines()[0][:200]}\n"
            f"Its compiler comes with: pip install {target.package}"
        ) from error
    axes = (AxisType.Auto,)
    return Mesh(np.array(devices[:count]), (AXIS,), axis_types=axes)


def copied(mesh: Mesh) -> NamedSharding:
    """A copy on each device."""
    return NamedSharding(mesh, PartitionSpec())


def compiled(lower: Callable[[], jax.stages.Lowered]) -> Program:
    """Compiles from scratch what traces and lowers a function."""
    jax.clear_caches()
    start, busy = time.perf_counter(), time.process_time()
    lowered = lower()
    traced = time.perf_counter()
    program = lowered.compile()
    done = time.perf_counter()
    costs: Any = program.cost_analysis() or {}
    return Program(
        program.as_text() or "",
        program.memory_analysis(),
        costs.get("flops"),
        costs.get("bytes accessed"),
        traced - start,
        done - traced,
        time.process_time() - busy,
    )


def compiled_at(place: Any, function: Callable[..., Any], *arguments: Any) -> Program:
    """Compiles a function from scratch, for arguments like these at another place.

    Args:
      place: a sharding over devices that need not be there.
      function: what `jax.jit` takes.
      arguments: trees of arrays, or of shapes of them.
    """
    elsewhere = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), arguments
    )
    return compiled(lambda: jax.jit(function).lower(*elsewhere))
