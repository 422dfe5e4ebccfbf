"""Everything that decides what a run computes, as plain dataclasses.

The same config and seed give the same run; it is stored beside the checkpoints, and a
run is resumed only with the config that it was started with.
"""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from vmixjax.config import Channels, MixConfig
from vmixjax.errors import RunError

FormName = Literal["plain", "canonical", "regions", "tuples", "moments", "histogram"]
TaskName = Literal["classify", "detect", "segment"]
OptimizerName = Literal["adam", "st_adam", "sgd"]


@dataclasses.dataclass(frozen=True)
class Data:
    """What is learned from."""

    source: str = "digits"
    """digits, tfds:NAME, tfds:DIR that TFDS can read, folder:DIR/[SPLIT/]CLASS/,
    webdataset:PATH, which is a .tar file, a folder of them, or a .txt list; or, with
    boxes, coco:DIR, voc:DIR or yolo:DIR."""
    data_dir: str | None = None
    """Where TFDS keeps its data sets; by default where TFDS looks."""
    image: str | None = None
    """Feature, or suffix, that is the image, where several might be."""
    image_size: int | None = None
    """Resize to squares of so many pixels a side, before anything else."""
    image_shape: tuple[int, int] | None = None
    """Or scale to lie inside so many pixels down and across, the rest grey: nothing is
    cut off. What is mixed already is only filled up."""
    train_split: str = "train"
    """What is learned from: a split, or several, such as train+validation."""
    test_split: str | None = None
    """What is for tests; by default test, or what there is of validation."""
    train_images: int | None = None
    """Learn from the first so many only."""
    augment: Literal["none", "flip", "crop", "crop-flip"] = "none"
    """Random shifts by up to an eighth of a side, and mirroring, before mixing."""
    upend: bool = False
    """Exchange up and down at random too, where they do not matter."""
    shift: Literal["regions", "pixels"] = "regions"
    """Shifts by whole regions, which tell whoever gets the batches nothing new; or by
    pixels, which undo the mixing: only for batches that stay on this machine."""
    zoom: tuple[float, float] = (1.0, 1.0)
    """Where shifts are by pixels, images are enlarged at random too, by factors between
    these; below 1 they become smaller."""
    shifted: float | None = None
    """Share of images that are shifted, where they are; by default half where it is by
    whole regions, of which one is much, and all where it is by pixels."""
    jitter: float = 0.0
    """Strength, 0 to 1, of random changes of contrast, brightness and tint."""
    erase: float = 0.0
    """Share of images of which a random rectangle of whole regions is erased."""
    boxes: int = 64
    """Objects that are learned of an image at most, the largest."""
    cache_mib: int = 2048
    """Data sets up to this size, decoded, are kept in memory."""


@dataclasses.dataclass(frozen=True)
class Mixing:
    """What is done to images before the model sees them."""

    where: Literal["step", "done", "off"] = "step"
    """Mixed anew in every step; done already, which a release tells by itself; or not
    at all."""
    tile_size: int = 4
    """Side of a tile in pixels."""
    ladder: tuple[tuple[int, int], ...] = ((4, 1),)
    """Levels of mixing, weakest first: sizes of regions and blocks in pixels."""
    channels: Channels = "independent"
    """Whether colours part ways, pixels keep theirs, or values change channels."""
    strength: float = 1.0
    """0 to 1, a place in each image's range of VFE; 1 is the strongest mixing."""
    form: FormName = "regions"
    """As it is; regions sorted where they are; or regions as places, whose channels are
    sorted values, pixels sorted by brightness (for shared channels), moments of the
    values, or histograms of them."""

    @property
    def config(self) -> MixConfig:
        """The same for the library."""
        return MixConfig(self.tile_size, self.ladder, self.channels)


@dataclasses.dataclass(frozen=True)
class Model:
    """What learns."""

    name: str = "cnn"
    """resnet8/18/50, shufflenet, vit_ti/s, convmixer_256_8, convmixer_768_32 or cnn."""
    stem: Literal["default", "imagenet", "cifar", "patch", "spread", "set"] = "default"
    """Of ResNets and ShuffleNet: for large images, for small ones, by patches; for
    places that are regions: spread over more places, or as sets of pixels."""
    patch_size: int | None = None
    """Of ViT, ConvMixer and the patch stem; the largest region makes a good one."""
    width: int | None = None
    """Channels of the first stage, where other than published."""
    widened: float = 0.0
    """Of ResNets, where places of the inputs are regions, or the stem's are patches:
    keep all strides, and be wider than --model.width, which is for images, by the
    coarseness and this factor. 1 takes as many operations as on images, 1.25 about the
    time on a CPU; 0 leaves the network as it is for images."""
    decoder: int = 64
    """Channels of what says where objects are, or what single pixels show."""


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """How it learns."""

    name: OptimizerName = "adam"
    """SGD is with Nesterov momentum."""
    learning_rate: float = 3e-3
    """At its highest: it rises for a tenth of the steps, then falls by a cosine."""
    weight_decay: float = 0.0
    """Decoupled, of all parameters with two axes or more."""
    adaptation: float = 0.5
    """Of ST-Adam: how far beta1 moves; 0 is Adam."""
    dice: float = 0.0
    """Of segmenters: what the Dice loss counts, which small classes weigh as much in as
    large ones, beside cross-entropy."""
    label_smoothing: float = 0.0
    """The share of a label that is spread over all classes."""
    mixup: float = 0.0
    """Alpha of mixup's Beta distribution; 0 is none."""
    cutmix: float = 0.0
    """Alpha of CutMix's, with rectangles of whole regions; 0 is none. Beside mixup,
    each batch gets one of the two."""
    average: float = 0.0
    """Decay of an exponential moving average of the parameters, which is what is tested
    and kept as the best; 0 is none."""
    distill: float = 0.0
    """Share of the loss that asks for the data's soft labels, a teacher's."""
    temperature: float = 1.0
    """Softens both the teacher's probabilities and the model's, where it distills."""


@dataclasses.dataclass(frozen=True)
class Config:
    """One run."""

    task: TaskName = "classify"
    """What is learned: classes of images, boxes of objects, or classes of pixels."""
    data: Data = Data()
    mixing: Mixing = Mixing()
    model: Model = Model()
    optimizer: Optimizer = Optimizer()
    batch_size: int = 128
    """Images in a step, over all devices."""
    steps: int = 600
    """Training steps."""
    every: int = 100
    """Steps between two tests, each followed by a checkpoint."""
    keep: int = 2
    """Newest checkpoints that are kept, beside the best."""
    test_mixes: int = 1
    """Mixes of a test image whose predictions are averaged."""
    start_from: str | None = None
    """Workdir of a run whose best parameters are the first ones of this; those of other
    shapes, as for other classes, begin anew."""
    seed: int = 0
    """Of parameters, order of images, augmentation and mixing keys."""
    bfloat16: bool | None = None
    """Compute in bfloat16; by default on TPUs, and on GPUs that have it (a T4 has not).
    Parameters are float32."""
    fsdp: bool = False
    """Spread parameters over the devices, instead of a copy on each."""


_RANGES = {
    "data.image_size": (1, 2**14),
    "data.train_images": (1, 2**40),
    "data.boxes": (1, 2**12),
    "data.cache_mib": (0, 2**40),
    "mixing.tile_size": (1, 2**14),
    "mixing.strength": (0, 1),
    "model.patch_size": (1, 2**14),
    "model.width": (1, 2**14),
    "model.widened": (0, 100),
    "model.decoder": (1, 2**14),
    "optimizer.learning_rate": (0, 1e30),
    "optimizer.weight_decay": (0, 1e6),
    "optimizer.adaptation": (0, 1),
    "optimizer.dice": (0, 1e6),
    "optimizer.label_smoothing": (0, 1),
    "optimizer.mixup": (0, 1e6),
    "optimizer.cutmix": (0, 1e6),
    "optimizer.average": (0, 0.999_999_9),
    "optimizer.distill": (0, 1),
    "optimizer.temperature": (1e-3, 1e6),
    "data.jitter": (0, 1),
    "data.shifted": (0, 1),
    "data.erase": (0, 1),
    "batch_size": (1, 2**20),
    "steps": (1, 2**31 - 1),
    "every": (1, 2**31 - 1),
    "keep": (1, 2**20),
    "test_mixes": (1, 10**4),
    "seed": (0, 2**32 - 1),
}
"""What numbers can be, both ends included."""

_NO_MATTER = ("data.data_dir", "data.cache_mib")


def from_values(values: dict[str, Any]) -> Config:
    """Makes a config of what `dataclasses.asdict` gave, perhaps through JSON.

    Raises:
      ValueError: Options that there are not, or values that they cannot have.
    """
    data = values.get("data", {})
    if isinstance(data, dict) and "augment" in data:
        # Runs from before there was a choice shifted by pixels, and all images.
        values = {**values, "data": {"shift": "pixels", "shifted": 1.0, **data}}
    config = msgspec.convert(values, Config)
    if unknown := _flat(values).keys() - _flat(dataclasses.asdict(config)).keys():
        raise ValueError(f"there is no option {min(unknown)}")
    return config


def check(config: Config) -> None:
    """Refuses numbers that no run can have.

    Raises:
      RunError: With the option, its value, and what it can be.
    """
    for name, value in _flat(dataclasses.asdict(config)).items():
        low, high = _RANGES.get(name, (-math.inf, math.inf))
        # Not a number is not between them either.
        if isinstance(value, int | float) and not low <= value <= high:
            option = f"--{name.replace('_', '-')}"
            raise RunError(f"{option} must be {low} to {high}; got {value}")
    least, most = config.data.zoom
    if not 0.1 <= least <= most <= 10:
        raise RunError(
            f"--data.zoom must be two factors, the least first, 0.1 to 10; got {least} "
            f"{most}"
        )
    try:
        _ = config.mixing.config
    except (TypeError, ValueError) as error:
        raise RunError(f"--mixing: {error}") from error


def differences(one: Config, other: Config) -> Iterator[str]:
    """Lists every field that differs: `model.width: 16, not 32`.

    Where the data lie and how much of them is kept in memory changes no result.
    """
    others = _flat(dataclasses.asdict(other))
    for name, value in _flat(dataclasses.asdict(one)).items():
        if value != others[name] and name not in _NO_MATTER:
            yield f"{name}: {value}, not {others[name]}"


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    """Options by names such as `model.width`."""
    from flax import traverse_util

    return traverse_util.flatten_dict(values, sep=".")
