"""What must never change: digests of plans and mixes, recomputed by one command.

`python tests/golden.py` prints them as JSON; `tests/golden.json` is what it printed
when the bytes were first fixed. The tests run it again in other processes, under
other settings of JAX, sharded over eight devices.
"""

import argparse
import hashlib
import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import oracle

import vmixjax

CONFIGS = {
    "default": vmixjax.MixConfig(),
    "shared": vmixjax.MixConfig(32, ((8, 2), (16, 1), (32, 1)), "shared"),
    "joint": vmixjax.MixConfig(32, ((8, 2), (16, 1), (32, 1)), "joint"),
    "any n": vmixjax.MixConfig(28, ((14, 2), (4, 2), (28, 1))),
    "published": vmixjax.MixConfig(16, ((16, 8), (16, 4), (16, 2))),
    "cifar": vmixjax.MixConfig(4, ((4, 1),)),
    "wide": vmixjax.MixConfig(224, ((224, 1),)),
    "threefry": vmixjax.MixConfig(8, ((4, 2), (8, 1))),
}
KEYS = {"threefry": jax.random.key(0, impl="threefry2x32")}
SECRET = bytes(range(32))
BATCH = 8
CASES = [(name, np.uint8) for name in CONFIGS]
CASES += [("default", np.uint16), ("default", np.float32)]


def batch_of(name, dtype):
    """Eight images and their keys."""
    config = CONFIGS[name]
    side = 2 * config.tile_size if config.tile_size < 100 else config.tile_size
    first = oracle.smooth_image(side, side, 3, dtype)
    images = np.stack([np.roll(first, 5 * i, axis=1) for i in range(BATCH)])
    keys = jax.vmap(vmixjax.image_key, (None, 0))(
        KEYS[name] if name in KEYS else vmixjax.key(SECRET),
        jnp.arange(BATCH, dtype=jnp.uint32),
    )
    return config, jnp.asarray(images), keys


def digests(names, sharding=None):
    """Name -> SHA-256 of what plan and mix give for a batch."""
    found = {}
    for name, dtype in CASES:
        if name not in names:
            continue
        config, images, keys = batch_of(name, dtype)
        if sharding is not None:
            images, keys = jax.device_put((images, keys), sharding)

        def one(key, image, config=config):
            lowest, highest = vmixjax.vfe_range(image, config)
            # One rounding and no sum: the same target everywhere.
            share = jax.random.key_data(key)[0].astype(jnp.float32) * 2.0**-32
            target = jnp.maximum(lowest, highest * share)
            plan = vmixjax.plan(image, target, config)
            return plan, vmixjax.mix(key, image, plan)

        plans, mixed = jax.jit(jax.vmap(one))(keys, images)
        if sharding is not None:
            assert len(mixed.sharding.device_set) == jax.device_count()
        parts = (plans.levels, plans.expected_vfe, plans.reachable, mixed)
        whole = b"".join(np.asarray(part).tobytes() for part in parts)
        found[f"{name}, {np.dtype(dtype)}"] = hashlib.sha256(whole).hexdigest()
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=list(CONFIGS))
    parser.add_argument("--mesh", choices=["Auto", "Explicit"])
    arguments = parser.parse_args()
    sharding = None
    if arguments.mesh:
        kind = getattr(jax.sharding.AxisType, arguments.mesh)
        mesh = jax.make_mesh((jax.device_count(),), ("batch",), axis_types=(kind,))
        sharding = jax.NamedSharding(mesh, jax.P("batch"))
    json.dump(digests(arguments.names, sharding), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
