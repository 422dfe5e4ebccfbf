"""What a record of a TFDS data set says, and what its features are to us."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from google.protobuf.message import DecodeError
from tensorflow_datasets.proto import tf_example_pb2

from vmixjax.data.codecs.png import png_extras
from vmixjax.data.example import Field, Pixels
from vmixjax.data.formats.tfds.choice import IMAGE
from vmixjax.data.formats.tfds.stored import add_value, value_of
from vmixjax.data.masks import Mask
from vmixjax.data.objects import Objects
from vmixjax.data.placed import check_placed
from vmixjax.errors import ImageError


class Records:
    """Makes sense of the records of a data set.

    Args:
      title: What the data set is called in complaints.
      features: Its features, a `tfds.features.FeaturesDict`.
      fields: Those that are wanted beside the image.
      image: The one that is the image.
      places: Names of features whose fields are called otherwise.
      codecs: As of `read_image`, for masks.
    """

    def __init__(
        self,
        title: str,
        features: Any,
        fields: Mapping[str, Field],
        image: str = IMAGE,
        places: Mapping[str, str] | None = None,
        codecs: Collection[str] | None = None,
    ) -> None:
        self._title, self._fields, self._image = title, fields, image
        self._places, self._codecs = places or {}, codecs
        self._names = frozenset(
            tfds.core.utils.flatten_nest_dict(features.get_serialized_info())
        )

    def features(self, record: bytes, name: str) -> Mapping[str, Any]:
        """Parses a record; its image is called `image` then.

        Raises:
          ImageError: It is damaged.
        """
        try:
            example = tf_example_pb2.Example.FromString(record)
        except DecodeError as error:
            raise ImageError(
                f"{self._title}, {name}, is damaged; use the file as it was written"
            ) from error
        features: Mapping[str, Any] = example.features.feature
        if self._image == IMAGE:
            return features
        others = {name: features[name] for name in features if name != self._image}
        return {**others, IMAGE: features[self._image]}

    def values(
        self,
        features: Mapping[str, Any],
        name: str,
        size: tuple[int, int] | None = None,
    ) -> Mapping[str, Any]:
        """Gives what a record has for each field.

        Args:
          features: What the record has.
          name: Name of the image in complaints.
          size: Height and width of the image, where they are known.

        Raises:
          ImageError: It has nothing, or nothing that it can have.
        """
        declared = {name: features[name] for name in filter(self.declares, features)}
        pixels = size and size[0] * size[1]
        values: dict[str, Any] = {}
        for key, field in self._fields.items():
            place = self._places.get(key, key)
            try:
                values[key] = value_of(
                    place, field, declared, name, pixels, self._codecs
                )
            except ImageError:
                raise
            except (LookupError, ValueError) as error:
                raise ImageError(
                    f"{name} has no {place} as its data set promises; mend the data set"
                ) from error
        check_placed(self._fields, values, name, size)
        return values

    def extras(self, features: Mapping[str, Any]) -> Iterator[str]:
        """Says in words what features of boxes and masks carry beyond these."""
        for key, field in self._fields.items():
            place = self._places.get(key, key)
            if isinstance(field, Mask):
                for content in features[place].bytes_list.value:
                    yield from (f"{what} in {key}" for what in png_extras(content))
            elif isinstance(field, Objects):
                boxes = value_of(place, field, features, key)
                again = tf_example_pb2.Example().features.feature
                add_value(again, place, field, boxes)
                if any(features[flat] != again[flat] for flat in again):
                    yield f"more than numbers in {key}"

    def declares(self, name: str) -> bool:
        """Tells whether a feature of a record is one of the data set."""
        # A sequence of sequences lies there in several parts.
        whole = re.sub(r"/ragged_(flat_values|row_lengths_\d+)$", "", name)
        return name in self._names or whole in self._names


def image_of(features: Mapping[str, Any], name: str) -> bytes:
    """Gives the image file of a record, which has one.

    Raises:
      ImageError: It has none, or several.
    """
    content = features[IMAGE].bytes_list.value
    if len(content) != 1:
        raise ImageError(f"{name} holds no image")
    image: bytes = content[0]
    return image


def shape_as_read(shape: tuple[int, int, int], pixels: Pixels) -> tuple[int, int, int]:
    """Gives the shape that an image has once it is read.

    JPEG and PNG files that happen to be grey are stored so where all are coloured.

    Args:
      shape: Shape as it is stored.
      pixels: What the features promise of all.
    """
    grey = shape[2] == 1 and pixels.shape[2] == 3
    return (*shape[:2], 3) if grey else shape


def check_promised(
    shape: tuple[int, int, int], dtype: np.dtype[Any], pixels: Pixels, name: str
) -> None:
    """Refuses an image of another form than the features promise.

    Args:
      shape: Shape as of `shape_as_read`.
      dtype: Type of its values.
      pixels: What the features promise of all.
      name: Name of the image in complaints.

    Raises:
      ImageError: It has another form.
    """
    height, width, channels = pixels.shape
    expected = (height or shape[0], width or shape[1], channels)
    if shape != expected or dtype != pixels.dtype:
        raise ImageError(
            f"{name} is {shape} {dtype}, not {expected} {pixels.dtype} as its data set "
            f"promises; mend the data set"
        )
