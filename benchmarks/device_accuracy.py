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
import math
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import vmixjax
from benchmarks.here import device
from train import devices
from train.config import Config, Data, Mixing, Model, Optimizer
from train.programs import programs_of
from train.recipes import RECIPES
from train.step import State, Steps
from vmixjax.atomic import atomic_path

QUALITY = 95
TRAIN_IMAGES = 32_000
CLASSES = 10
BATCH = 512
_PACKED = "cifar10.npz"

ARMS: dict[str, tuple[int, int]] = {
    "clean": (32, 0),
    "release, 16 across": (32, 16),
    "release, 8 across": (32, 8),
    "release, 4 across": (32, 4),
    "clean, enlarged to 112": (112, 0),
    "release, 14 across, enlarged to 112": (112, 14),
}
"""Side of the images in pixels, and regions across; most wanted first."""

Split = tuple[np.ndarray, np.ndarray]
"""Images uint8 (N, H, W, C), and labels int32 (N,)."""


def pack(data_dir: str | None, out: Path) -> None:
    """Writes training and test images as JPEG, and their labels, into one file."""
    from PIL import Image

    from vmixjax.data import open_source

    source = open_source("tfds:cifar10", data_dir=data_dir, keep=None)
    arrays: dict[str, Any] = {}
    for split, count in (("train", TRAIN_IMAGES), ("test", source.splits["test"])):
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


def config_of(side: int, across: int) -> Config:
    """Gives the config of an arm; its steps are set once it is known how many fit."""
    size = side // across if across else 4
    config = Config(
        data=Data("tfds:cifar10", augment="crop-flip"),
        mixing=Mixing("done" if across else "off", size, ((size, 1),)),
        model=Model("resnet18"),
        optimizer=Optimizer(learning_rate=3e-3, weight_decay=0.05),
        batch_size=BATCH,
    )
    return RECIPES["best"].change(config)


class Run:
    """An arm: its images on the device, and programs of whole epochs."""

    def __init__(self, config: Config, splits: dict[str, Split], seed: int) -> None:
        self.config, self.seed = config, np.uint32(seed)
        images, labels = splits["train"]
        self.train = jax.device_put((images, labels))
        self.test = splits["test"]
        mesh = devices.mesh(config.batch_size, jax.devices()[:1])
        steps = Steps(config, images.shape[1:], CLASSES, mesh)
        self.programs = programs_of(steps, fsdp=False)
        self.in_epoch = len(images) // config.batch_size

        def epoch(state: State, data: Any, order: jax.Array) -> tuple[State, Any]:
            def step(state: State, ids: jax.Array) -> tuple[State, Any]:
                batch = {"image": data[0][ids], "label": data[1][ids], "id": ids}
                return steps.train(state, batch, jnp.uint32(seed))

            return jax.lax.scan(step, state, order)

        self.epoch = jax.jit(epoch, donate_argnums=0)

    def learn(self, epochs: int) -> tuple[State, float, float]:
        """Trains anew; gives the state, seconds of an epoch, and the last accuracy."""
        state = self.programs.init(self.seed)
        rng = np.random.default_rng(int(self.seed))
        seconds = accuracy = math.nan
        for _ in range(epochs):
            order = rng.permutation(len(self.train[1]))
            batches = order[: self.in_epoch * self.config.batch_size]
            batches = batches.reshape(self.in_epoch, -1).astype(np.int32)
            since = time.perf_counter()
            state, values = self.epoch(state, self.train, batches)
            accuracy = float(values["accuracy"].mean())
            seconds = time.perf_counter() - since
        return state, seconds, accuracy

    def measure(self, state: State) -> float:
        """Computes the share of test images that are told right."""
        images, labels = self.test
        right = count = 0.0
        for start in range(0, len(labels), BATCH):
            rows = np.arange(start, start + BATCH)
            # The last batch is filled up with images that count for nothing.
            there = rows < len(labels)
            rows = np.where(there, rows, 0).astype(np.int32)
            batch: Any = {
                "image": images[rows],
                "label": np.where(there, labels[rows], -1),
                "id": rows,
            }
            sums = self.programs.test(state, batch, self.seed)
            right, count = right + float(sums["right"]), count + float(sums["count"])
        return right / count


def run(folder: Path, out: Path, minutes: float, seed: int, only: list[str]) -> None:
    """Trains the arms in turn, and writes what each came to.

    As many epochs as fit for all of them, by the slowest of the first two at 32 pixels;
    what is enlarged gets as many as its own share of the time allows.
    """
    until = time.monotonic() + 60 * minutes
    splits = unpack(folder)
    names = [name for name in ARMS if not only or name in only]
    found: dict[str, Any] = {}
    for number, name in enumerate(names):
        share = (until - time.monotonic()) / (len(names) - number)
        side, across = ARMS[name]
        config = config_of(side, across)
        seen = {one: (enlarged(x, side), y) for one, (x, y) in splits.items()}
        if across:
            # Other keys for test images than for training images.
            seen = {
                one: (mixed_once(x, config.mixing, 2 * seed + (one == "test")), y)
                for one, (x, y) in seen.items()
            }
        begun = time.monotonic()
        # The first epoch compiles, the second tells how long one takes.
        trial = Run(dataclasses.replace(config, steps=10**6), seen, seed)
        _, seconds, _ = trial.learn(2)
        left = share - 2 * (time.monotonic() - begun)
        epochs = max(2, int(left / seconds))
        steps = epochs * trial.in_epoch
        learned = Run(dataclasses.replace(config, steps=steps), seen, seed)
        state, seconds, accuracy = learned.learn(epochs)
        found[name] = {
            "side": side,
            "across": across,
            "epochs": epochs,
            "seconds of an epoch": seconds,
            "train_accuracy": accuracy,
            "test_accuracy": learned.measure(state),
            "config": dataclasses.asdict(learned.config),
        }
        result = {**device(), "train images": len(splits["train"][1]), "arms": found}
        with atomic_path(out) as file:
            file.write(json.dumps(result, indent=1).encode())
        told = found[name]["test_accuracy"]
        print(f"{name}: {told:.2%} after {epochs} epochs, {accuracy:.2%} in training")


def main() -> None:
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
    running.add_argument("--seed", type=int, default=0)
    running.add_argument("--only", nargs="*", default=[])
    asked = parser.parse_args()
    if asked.command == "pack":
        pack(asked.data_dir, asked.folder)
    else:
        run(asked.folder, asked.out, asked.minutes, asked.seed, asked.only)


if __name__ == "__main__":
    main()
