"""The images that an audit works on: the owner's, and an attacker's like them."""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from vmixjax._printable import printable
from vmixjax.audit.places import Masks, ObjectsThere, cut_boxes, cut_mask
from vmixjax.data import (
    Example,
    Label,
    Mask,
    Objects,
    Source,
    eight_bits,
    open_source,
    square,
    without_alpha,
)
from vmixjax.data.example import class_field
from vmixjax.data.writing import release_of
from vmixjax.errors import ImageError, RunError

FEWEST = 8
"""Images with which numbers begin to mean anything."""


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Images of one size.

    Attributes:
      images: All of them, uint8 (N, S, S, C).
      labels: Numbers of their classes, int32 (N,); None where there are none.
      classes: Names of these, by number.
      original_side: Shorter side of the images as they were found, the median.
      objects: The objects in each; None where nothing is said of such.
      masks: The classes of their pixels; None where nothing is said of such.
    """

    images: np.ndarray
    labels: np.ndarray | None
    classes: tuple[str, ...]
    original_side: int
    objects: ObjectsThere | None = None
    masks: Masks | None = None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(S, S, C) of each image."""
        height, width, channels = self.images.shape[1:]
        return height, width, channels

    def part(self, where: np.ndarray) -> "Pictures":
        """Some of them, by number."""
        return dataclasses.replace(
            self,
            images=self.images[where],
            labels=None if self.labels is None else self.labels[where],
            objects=None if self.objects is None else self.objects.part(where),
            masks=None if self.masks is None else self.masks.part(where),
        )

    def fingerprint(self) -> str:
        """What two sets share only if they are the same."""
        digest = hashlib.sha256(repr(self.images.shape).encode())
        digest.update(self.images.tobytes())
        if self.labels is not None:
            digest.update(self.labels.tobytes())
        for places in (self.objects, self.masks):
            if places is not None:
                digest.update(places.digest())
        return digest.hexdigest()


def load_pictures(
    name: str,
    *,
    option: str,
    most: int,
    seed: int,
    size: int | None = None,
    largest: int | None = None,
    data_dir: str | None = None,
    splits: Sequence[str] = (),
    image: str | None = None,
) -> Pictures:
    """Reads images of a source, as squares of one size cut out of their middles.

    Args:
      name: Of the source, as `open_source` takes it.
      option: What complaints call it.
      most: How many images, at most; a random choice if there are more.
      seed: Of that choice.
      size: Side of the images in pixels; if None, the shortest side there is, at most
        `largest`, and of whole eights.
      largest: Most pixels that a side has unless it is given.
      data_dir: Where TFDS keeps its data sets.
      splits: Those to take; all if empty.
      image: Field that is the image, where several might be.

    Returns:
      The images, with the classes, boxes and masks that their source tells, cut as they
      are.

    Raises:
      RunError: The source cannot be read, is a release, or has too few images.
    """
    source = open_source(name, data_dir=data_dir, splits=splits, keep=None, image=image)
    release = release_of(source.places)
    if release is not None:
        raise RunError(
            f"{option} {release} is a release, of mixed images: an audit mixes images "
            f"itself, and needs them clean"
        )
    field, names = _label_field(source)
    taken = {field} if field else set()
    taken |= {x for x, one in source.fields.items() if isinstance(one, Objects | Mask)}
    found = []
    for place in tqdm(
        _places(source, most, seed), desc=f"reading {option}", unit="image"
    ):
        try:
            example = source.read(*place)
        except ImageError as error:
            tqdm.write(printable(f"vmixjax: skipped: {error}"))
            continue
        pixels = without_alpha(eight_bits(example.image))
        values = {name: example.values[name] for name in taken}
        found.append(dataclasses.replace(example, image=pixels, values=values))
    if len(found) < FEWEST:
        raise RunError(
            f"{option} {name} has {len(found)} readable images; an audit needs at "
            f"least {FEWEST}, and some hundreds to be worth its name"
        )
    shortest = [min(one.image.shape[:2]) for one in found]
    side = size if size is not None else _side(min(shortest), largest)
    channels = max(one.image.shape[2] for one in found)
    labels = [one.values[field] for one in found] if field else []
    numbers, counted = _numbers(labels)
    return Pictures(
        images=np.stack([_brought_to(one.image, side, channels) for one in found]),
        labels=numbers,
        classes=() if numbers is None else tuple(names or counted),
        original_side=int(np.median(shortest)),
        objects=_objects(source, found),
        masks=_masks(source, found, side),
    )


def split_pictures(
    pictures: Pictures, seed: int, most: int | None = None
) -> tuple[Pictures, Pictures]:
    """Splits in two with nothing in common: the owner's, at most half, an attacker's.

    Equal images stay together, so that no image is in both.
    """
    groups: dict[bytes, list[int]] = {}
    for i, image in enumerate(pictures.images):
        groups.setdefault(image.tobytes(), []).append(i)
    half = len(pictures) // 2 if most is None else min(most, len(pictures) // 2)
    parts: tuple[list[int], list[int]] = ([], [])
    members = list(groups.values())
    for i in np.random.default_rng(seed).permutation(len(members)):
        parts[len(parts[0]) >= half].extend(members[i])
    private, public = (pictures.part(np.sort(part)) for part in parts)
    return private, public


def overlap(private: Pictures, public: Pictures) -> list[int]:
    """Finds the private images that are in the public set, pixel by pixel."""
    known = {image.tobytes() for image in public.images}
    return [i for i, image in enumerate(private.images) if image.tobytes() in known]


def _places(source: Source, most: int, seed: int) -> list[tuple[str, int]]:
    """Split and number of the images to read, in order."""
    splits = source.splits.items()
    places = [(split, index) for split, count in splits for index in range(count)]
    if len(places) <= most:
        return places
    rng = np.random.default_rng(seed)
    return [places[i] for i in np.sort(rng.choice(len(places), most, replace=False))]


def _label_field(source: Source) -> tuple[str | None, tuple[str, ...] | None]:
    name = class_field(source.fields)
    field = source.fields.get(name or "")
    return name, field.names if isinstance(field, Label) else None


def _objects(source: Source, found: Sequence[Example]) -> ObjectsThere | None:
    """The boxes of images, cut as these are; None where there are none at all."""
    for name, field in source.fields.items():
        if isinstance(field, Objects):
            cut = [cut_boxes(one.values[name], one.image.shape[:2]) for one in found]
            return ObjectsThere.of(cut, field) if any(map(len, cut)) else None
    return None


def _masks(source: Source, found: Sequence[Example], side: int) -> Masks | None:
    """The masks of images, cut and scaled as these are."""
    for name, field in source.fields.items():
        if isinstance(field, Mask):
            cut = [
                cut_mask(one.values[name], field, one.image.shape[:2], side)
                for one in found
            ]
            return Masks.of(cut, field)
    return None


def _numbers(labels: list[Any]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Numbers and names of classes; no numbers where all are the same."""
    names = sorted(set(labels))
    if len(names) < 2:
        return None, ()
    if all(isinstance(name, int | np.integer) for name in names):
        # Numbers of classes stay what they are: another set has the same.
        return np.asarray(labels, np.int32), tuple(map(str, range(max(names) + 1)))
    places = {name: place for place, name in enumerate(names)}
    return np.asarray([places[label] for label in labels], np.int32), tuple(names)


def _side(shortest: int, largest: int | None) -> int:
    side = shortest if largest is None else min(shortest, largest)
    return max(8, side // 8 * 8)


def _brought_to(image: np.ndarray, side: int, channels: int) -> np.ndarray:
    """The middle of an image, as a square of so many pixels; grey as colour."""
    if image.shape[2] < channels:
        image = np.repeat(image, channels, 2)
    return square(image, side, Image.Resampling.LANCZOS)
