"""A data set that TFDS has prepared, read without TensorFlow."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from google.protobuf.message import DecodeError
from tensorflow_datasets.proto import tf_example_pb2

from vmixjax.data.codecs.codec import Small
from vmixjax.data.codecs.images import decode_image, decode_small
from vmixjax.data.codecs.png import png_extras
from vmixjax.data.example import (
    Example,
    Field,
    Label,
    Pixels,
    Source,
    Text,
    Trace,
)
from vmixjax.data.formats.format import SourceOptions
from vmixjax.data.formats.tfds.builder import open_prepared
from vmixjax.data.formats.tfds.choice import IMAGE, choose_image
from vmixjax.data.formats.tfds.fields import fields_of
from vmixjax.data.room import Claim, at_once
from vmixjax.errors import ImageError, RunError


class TfdsSource(Source):
    """Reads splits of a TFDS data set.

    Args:
      name: Name of a data set, or its folder.
      options: What is wanted of it: fields are features.

    Raises:
      RunError: It is unknown or not prepared, has no image, or has other features that
        may show what the image shows, or whose it is, and are neither dropped nor kept.
    """

    def __init__(self, name: str, options: SourceOptions) -> None:
        builder = open_prepared(name, options.data_dir)
        info = builder.info
        self._codecs = options.codecs
        unknown = sorted(set(options.splits) - set(info.splits))
        if unknown:
            has = ", ".join(info.splits)
            raise RunError(f"--splits {unknown[0]}: {name} has {has} only")
        self.name = info.name
        self.places: Sequence[Path] = (Path(builder.data_dir),)
        self.splits: Mapping[str, int] = {
            split: info.splits[split].num_examples
            for split in options.splits or info.splits
        }
        self._image, image, features = choose_image(name, info.features, options)
        self.pixels: Pixels | None = Pixels(image.shape, np.dtype(image.np_dtype))
        there = f"{name} has {', '.join(features)} beside the image"
        options.check_fields(features, there)
        self.fields: Mapping[str, Field] = fields_of(features, options)
        self._names = frozenset(
            tfds.core.utils.flatten_nest_dict(info.features.get_serialized_info())
        )
        self._files = {
            split: [
                (Path(one.filename), one.examples_in_shard)
                for one in info.splits[split].file_instructions
            ]
            for split, count in self.splits.items()
            if count
        }
        raw = tfds.decode.DeserializeMethod.RAW_BYTES
        self._records: Mapping[str, Sequence[bytes]] = {
            split: builder.as_data_source(split, deserialize_method=raw)
            for split, count in self.splits.items()
            if count
        }

    def read(self, split: str, index: int, claim: Claim = at_once) -> Example:
        name = f"{split}/{index}"
        features = self._features(self._record(split, index), name)
        content = _image(features, name)
        values = self._values(features, name)
        image = decode_image(content, name, codecs=self._codecs, claim=claim)
        pixels = self._fitting(image, name)
        label = self.fields.get("label")
        folder = split
        if isinstance(label, Label) and values["label"] >= 0:
            number = values["label"]
            folder += f"/{label.names[number] if label.names else number}"
        stem = f"{folder}/{index}"
        return Example(name=name, folder=folder, stem=stem, image=pixels, values=values)

    def look(
        self, split: str, index: int, enough: int, claim: Claim = at_once
    ) -> Small:
        name = f"{split}/{index}"
        content = _image(self._features(self._record(split, index), name), name)
        return decode_small(content, name, enough, codecs=self._codecs, claim=claim)

    def values(self, split: str, index: int) -> Mapping[str, Any]:
        name = f"{split}/{index}"
        return self._values(self._features(self._record(split, index), name), name)

    def candidates(self, name: str) -> Iterator[tuple[str, int]]:
        """None but those of the split that the name begins with, where it does."""
        split, _, _ = name.partition("/")
        for candidate in super().candidates(name):
            if split not in self.splits or split == candidate[0]:
                yield candidate

    def extras(self, split: str, index: int) -> Iterator[str]:
        """Those of the image, and features that nobody declared."""
        record = self._record(split, index)
        features = self._features(record, f"{split}/{index}")
        for content in features[IMAGE].bytes_list.value:
            yield from png_extras(content)
        strange = sorted(name for name in features if not self._declares(name))
        for name in strange:
            yield f"the feature {name!r}"
        again = tf_example_pb2.Example.FromString(record)
        again.DiscardUnknownFields()
        if not strange and again.SerializeToString(deterministic=True) != record:
            yield "data in none of its features"

    def traces(self) -> Iterator[Trace]:
        """They are the shards."""
        for split, files in self._files.items():
            stop = 0
            for path, count in files:
                start, stop = stop, stop + count
                yield Trace.of(path, split, path.name, start, stop)

    def _record(self, split: str, index: int) -> bytes:
        try:
            return self._records[split][index]
        except Exception as error:
            # The reader has its own kinds of errors, and they quote paths.
            raise RunError(
                f"{self.name}, {split}/{index}, can no longer be read; bring its files "
                f"back and run again"
            ) from error

    def _features(self, record: bytes, name: str) -> Mapping[str, Any]:
        try:
            example = tf_example_pb2.Example.FromString(record)
        except DecodeError as error:
            raise ImageError(
                f"{self.name}, {name}, is damaged; use the file as it was written"
            ) from error
        features: Mapping[str, Any] = example.features.feature
        if self._image == IMAGE:
            return features
        others = {name: features[name] for name in features if name != self._image}
        return {**others, IMAGE: features[self._image]}

    def _values(self, features: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        """What a record has for each field."""
        declared = {name: features[name] for name in filter(self._declares, features)}
        values = {}
        for key, field in self.fields.items():
            try:
                values[key] = _value(key, field, declared)
            except (LookupError, ValueError) as error:
                raise ImageError(
                    f"{name} has no {key} as its data set promises; mend the data set"
                ) from error
        return values

    def _declares(self, name: str) -> bool:
        # A sequence of sequences lies there in several parts.
        whole = re.sub(r"/ragged_(flat_values|row_lengths_\d+)$", "", name)
        return name in self._names or whole in self._names

    def _fitting(self, image: np.ndarray, name: str) -> np.ndarray:
        """The image with the channels that the features promise, as TFDS reads it."""
        assert self.pixels is not None
        height, width, channels = self.pixels.shape
        # JPEG and PNG files that happen to be grey are stored so.
        if image.shape[2] == 1 and channels == 3:
            image = np.repeat(image, 3, axis=2)
        expected = (height or image.shape[0], width or image.shape[1], channels)
        if image.shape != expected or image.dtype != self.pixels.dtype:
            raise ImageError(
                f"{name} is {image.shape} {image.dtype}, not {expected} "
                f"{self.pixels.dtype} as its data set promises; mend the data set"
            )
        return image


def _image(features: Mapping[str, Any], name: str) -> bytes:
    """The image file of a record, which has one."""
    content = features[IMAGE].bytes_list.value
    if len(content) != 1:
        raise ImageError(f"{name} holds no image")
    image: bytes = content[0]
    return image


def _value(key: str, field: Field, features: Mapping[str, Any]) -> Any:
    """What a record has for a field.

    Raises:
      LookupError, ValueError: nothing, or nothing that it can have.
    """
    if isinstance(field, Label):
        number = int(features[key].int64_list.value[0])
        if field.names is not None and number >= len(field.names):
            raise ValueError(f"{number} is no class")
        return number
    if isinstance(field, Text):
        return features[key].bytes_list.value[0].decode("utf-8", "surrogateescape")
    # Nested features have flat names: all that begin with the key.
    return {
        flat: features[flat]
        for flat in sorted(features)
        if flat == key or flat.startswith(f"{key}/")
    }
