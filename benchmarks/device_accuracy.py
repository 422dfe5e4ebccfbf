"""What mixing costs on an accelerator: ResNet-18 on CIFAR-10, clean and from releases.

    python -m benchmarks.device_accuracy pack DIR --data-dir WHERE_TFDS_KEEPS_IT
    python -m benchmarks.device_accuracy run DIR --out accuracy.json --minutes 12

The first makes a small file where TFDS is. The second runs where it need not be: images
are decoded once, mixed once by the functions that releases are mixed with, and lie on
the device; an epoch is one program. What an arm came to is written at once.

JPEG, at the quality below, is what makes the file small; so figures are of such copies.
"""

import argparse
import dataclasses
import io
import json
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import vmixjax
from benchmarks.here import device
from train import devices
from train.config import Config, Mixing, Model
from train.presets import PRESETS
from train.programs import Programs, programs_of
from train.recipes import RECIPES, changed
from train.step import State, Steps
from vmixjax.atomic import atomic_path
from vmixjax.data import Source, open_source

QUALITY = 95
TRAIN_IMAGES = 32_000
CLASSES = 10
SIDE, ENLARGED = 32, 112
_PACKED = "cifar10.npz"

ARMS: dict[str, tuple[int, int]] = {
    "clean": (SIDE, 0),
    "release, 16 across": (SIDE, 16),
    "release, 8 across": (SIDE, 8),
    "release, 4 across": (SIDE, 4),
    "clean, enlarged": (ENLARGED, 0),
    "release, 14 across, enlarged": (ENLARGED, 14),
}
"""Side of the images in pixels, and regions across; most wanted first."""

Split = tuple[np.ndarray, np.ndarray]
"""Images uint8 (N, H, W, C), and labels int32 (N,)."""


def pack(source: Source, out: Path) -> None:
    """Writes training and test images as JPEG, and their labels, into one file."""
    from PIL import Image

    arrays: dict[str, Any] = {}
    for split in ("train", "test"):
        count = min(source.splits[split], TRAIN_IMAGES)
        files, labels = [], []
        for index in range(count):
            example = source.read(split, index)
            buffer = io.BytesIO()
            Image.fromarray(example.image).save(
                buffer, "JPEG", quality=QUALITY, subsampling=0
            )
            files.append(buffer.getvalue())
            labels.append(example.values["label"])
        arrays[f"{split}_bytes"] = np.frombuffer(b"".join(files), np.uint8)
        arrays[f"{split}_ends"] = np.cumsum([len(file) for file in files])
        arrays[f"{split}_labels"] = np.asarray(labels, np.int32)
    out.mkdir(parents=True, exist_ok=True)
    with atomic_path(out / _PACKED) as file:
        np.savez(file, **arrays)


def unpack(folder: Path) -> dict[str, Split]:
    """Reads what `pack` wrote: `train` and `test`."""
    from PIL import Image

    packed = np.load(folder / _PACKED)
    splits = {}
    for split in ("train", "test"):
        data, ends = packed[f"{split}_bytes"].tobytes(), packed[f"{split}_ends"]
        starts = np.concatenate([[0], ends[:-1]])
        images = [
            np.asarray(Image.open(io.BytesIO(data[start:end])))
            for start, end in zip(starts, ends, strict=True)
        ]
        splits[split] = np.stack(images), packed[f"{split}_labels"]
    return splits


def enlarged(images: np.ndarray, side: int) -> np.ndarray:
    """Brings images (N, H, W, C) to squares of `side` pixels, by bilinear values."""
    if images.shape[1] == side:
        return images

    @jax.jit
    def some(images: jax.Array) -> jax.Array:
        shape = (len(images), side, side, images.shape[3])
        values = jax.image.resize(images.astype(jnp.float32), shape, "linear")
        return jnp.round(jnp.clip(values, 0, 255)).astype(jnp.uint8)

    parts = np.array_split(images, max(1, len(images) // 2_000))
    return np.concatenate([np.asarray(some(part)) for part in parts])


def mixed_once(images: np.ndarray, mixing: Mixing, seed: int) -> np.ndarray:
    """Mixes images (N, H, W, C), each with a key of its own, as releases are mixed."""
    plan = vmixjax.full_plan(images.shape[1:], mixing.config)
    secret = jax.random.key(seed)

    @jax.jit
    def some(numbers: jax.Array, images: jax.Array) -> jax.Array:
        keys = jax.vmap(vmixjax.image_key, (None, 0))(secret, numbers)
        return jax.vmap(vmixjax.mix, (0, 0, None))(keys, images, plan)

    parts = np.array_split(np.arange(len(images)), max(1, len(images) // 2_000))
    return np.concatenate([np.asarray(some(part, images[part])) for part in parts])


def mixing_of(side: int, across: int) -> Mixing:
    """Says how images of an arm are mixed."""
    size = side // across if across else 4
    return Mixing("done" if across else "off", size, ((size, 1),))


def config_of(model: str, batch: int, side: int, across: int, steps: int) -> Config:
    """Gives the config of an arm, which learns as the preset for CIFAR-10 does."""
    config = dataclasses.replace(
        PRESETS["cifar10"],
        mixing=mixing_of(side, across),
        model=Model(model),
        batch_size=batch,
        steps=steps,
    )
    return changed(
        RECIPES["best"].change(config),
        data={"image_size": side if side != SIDE else None, "shift": "regions"},
    )


class TooSlow(Exception):
    """The epochs of an arm do not fit into its share of the time.

    Attributes:
      seconds: What one takes.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def learn(
    config: Config, splits: dict[str, Split], seed: int, epochs: int, until: float
) -> dict[str, Any]:
    """Trains an arm, its images on the device, an epoch as one program.

    Args:
      config: The config.
      splits: Images to learn from, and for tests.
      seed: The seed.
      epochs: How many.
      until: When it has to end, by `time.monotonic`.

    Returns:
      What it came to.

    Raises:
      TooSlow: The second epoch shows that all of them would not fit.
    """
    images, labels = splits["train"]
    count = len(images) // config.batch_size
    mesh = devices.mesh(config.batch_size, jax.devices()[:1])
    steps = Steps(config, images.shape[1:], CLASSES, mesh)
    programs = programs_of(steps, fsdp=False)
    data = jax.device_put((images, labels))

    def epoch(state: State, data: Any, order: jax.Array) -> tuple[State, Any]:
        def step(state: State, ids: jax.Array) -> tuple[State, Any]:
            batch = {"image": data[0][ids], "label": data[1][ids], "id": ids}
            return steps.train(state, batch, jnp.uint32(seed))

        return jax.lax.scan(step, state, order)

    jitted = jax.jit(epoch, donate_argnums=0)
    state = programs.init(np.uint32(seed))
    rng = np.random.default_rng(seed)
    accuracy = seconds = 0.0
    for number in range(epochs):
        order = rng.permutation(len(images))[: count * config.batch_size]
        since = time.monotonic()
        state, values = jitted(state, data, order.reshape(count, -1).astype(np.int32))
        accuracy = float(values["accuracy"].mean())
        seconds = time.monotonic() - since
        # The first one compiles.
        left = until - time.monotonic()
        if number == 1 and epochs > 2 and seconds * (epochs - 2) > left:
            raise TooSlow(seconds)
    return {
        "epochs": epochs,
        "seconds of an epoch": seconds,
        "train_accuracy": accuracy,
        "test_accuracy": measured(programs, state, splits["test"], config, seed),
        "config": dataclasses.asdict(config),
    }


def measured(
    programs: Programs, state: State, test: Split, config: Config, seed: int
) -> float:
    """Computes the share of test images that are told right."""
    images, labels = test
    right = count = 0.0
    for start in range(0, len(labels), config.batch_size):
        rows = np.arange(start, start + config.batch_size)
        # The last batch is filled up with images that count for nothing.
        there = rows < len(labels)
        rows = np.where(there, rows, 0).astype(np.int32)
        label = np.where(there, labels[rows], -1).astype(np.int32)
        batch: Any = {"image": images[rows], "label": label, "id": rows}
        sums = programs.test(state, batch, np.uint32(seed))
        right, count = right + float(sums["right"]), count + float(sums["count"])
    return right / count


def run(asked: argparse.Namespace) -> None:
    """Trains the arms in turn, and writes what each came to at once.

    Those of one size have as many epochs, fewer than asked for if these do not fit.
    """
    end = time.monotonic() + 60 * asked.minutes
    splits = unpack(asked.folder)
    names = [name for name in ARMS if not asked.only or name in asked.only]
    epochs = {SIDE: asked.epochs, ENLARGED: asked.enlarged_epochs}
    found: dict[str, Any] = {}
    for number, name in enumerate(names):
        side, across = ARMS[name]
        seen = {one: (enlarged(x, side), y) for one, (x, y) in splits.items()}
        if across:
            mixing = mixing_of(side, across)
            # Other keys for test images than for training images.
            keys = {"train": 2 * asked.seed, "test": 2 * asked.seed + 1}
            seen = {
                one: (mixed_once(x, mixing, keys[one]), y)
                for one, (x, y) in seen.items()
            }
        in_epoch = len(splits["train"][1]) // asked.batch
        while True:
            now = time.monotonic()
            until = now + (end - now) / (len(names) - number)
            steps = epochs[side] * in_epoch
            config = config_of(asked.model, asked.batch, side, across, steps)
            try:
                told = learn(config, seen, asked.seed, epochs[side], until)
                break
            except TooSlow as slow:
                left = until - time.monotonic() - (time.monotonic() - now)
                epochs[side] = max(2, int(left / slow.seconds))
        found[name] = {"side": side, "across": across, **told}
        result = {**device(), "train images": len(splits["train"][1]), "arms": found}
        with atomic_path(asked.out) as file:
            file.write(json.dumps(result, indent=1).encode())
        print(f"{name}: {told['test_accuracy']:.2%} after {told['epochs']} epochs")


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack")
    packing.add_argument("folder", type=Path)
    packing.add_argument("--data-dir")
    running = commands.add_parser("run")
    running.add_argument("folder", type=Path)
    running.add_argument("--out", type=Path, required=True)
    running.add_argument("--minutes", type=float, default=11.0)
    running.add_argument("--epochs", type=int, default=20)
    running.add_argument("--enlarged-epochs", type=int, default=4)
    running.add_argument("--model", default="resnet18")
    running.add_argument("--batch", type=int, default=512)
    running.add_argument("--seed", type=int, default=0)
    running.add_argument("--only", nargs="*", default=[], choices=ARMS)
    asked = parser.parse_args(arguments)
    if asked.command == "pack":
        name = "tfds:cifar10"
        pack(open_source(name, data_dir=asked.data_dir, keep=None), asked.folder)
    else:
        run(asked)


if __name__ == "__main__":
    main()
