"""A data set that TFDS has prepared, read without TensorFlow."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
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
    Trace,
)
from vmixjax.data.formats.format import SourceOptions
from vmixjax.data.formats.tfds.builder import open_prepared
from vmixjax.data.formats.tfds.choice import IMAGE, choose_image
from vmixjax.data.formats.tfds.fields import fields_of
from vmixjax.data.formats.tfds.records import (
    Records,
    check_promised,
    image_of,
    shape_as_read,
)
from vmixjax.data.mask_files import cells_of
from vmixjax.data.masks import Mask
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
        fields, places = fields_of(name, features, options)
        sense = functools.partial(
            Records,
            info.name,
            info.features,
            image=self._image,
            places=places,
            codecs=self._codecs,
        )
        self._sense = sense(fields)
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

        self.fields: Mapping[str, Field] = self._with_cells(fields)
        self._sense = sense(self.fields)

    def _with_cells(self, fields: Mapping[str, Field]) -> Mapping[str, Field]:
        """Fields, with the sides of masks' cells as the first record has them."""
        masks = {key: one for key, one in fields.items() if isinstance(one, Mask)}
        split = next((split for split in self._records), None)
        if not masks or split is None:
            return fields
        try:
            name = self.name_of(split, 0)
            features = self._sense.features(self._record(split, 0), name)
            image = image_of(features, name)
            files = {key: features[key].bytes_list.value for key in masks}
            sides = {key: cells_of(image, file[0]) for key, file in files.items()}
        except (ImageError, IndexError):
            # It is refused once it is read.
            return fields
        cells = {
            key: dataclasses.replace(mask, cells=sides[key])
            for key, mask in masks.items()
        }
        return {**fields, **cells}

    def read(self, split: str, index: int, claim: Claim = at_once) -> Example:
        name = self.name_of(split, index)
        features = self._sense.features(self._record(split, index), name)
        content = image_of(features, name)
        image = decode_image(content, name, codecs=self._codecs, claim=claim)
        pixels = self._fitting(image, name)
        values = self._sense.values(features, name, pixels.shape[:2])
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
        content = image_of(self._sense.features(self._record(split, index), name), name)
        return decode_small(content, name, enough, codecs=self._codecs, claim=claim)

    def name_of(self, split: str, index: int) -> str:
        """Records have no names, so it is the number."""
        return f"{split}/{index}"

    def values(self, split: str, index: int) -> Mapping[str, Any]:
        name = f"{split}/{index}"
        return self._sense.values(
            self._sense.features(self._record(split, index), name), name
        )

    def candidates(self, name: str) -> Iterator[tuple[str, int]]:
        """None but those of the split that the name begins with, where it does."""
        split, _, _ = name.partition("/")
        for candidate in super().candidates(name):
            if split not in self.splits or split == candidate[0]:
                yield candidate

    def extras(self, split: str, index: int) -> Iterator[str]:
        """Those of the image, and features that nobody declared."""
        record = self._record(split, index)
        features = self._sense.features(record, f"{split}/{index}")
        for content in features[IMAGE].bytes_list.value:
            yield from png_extras(content)
        yield from self._sense.extras(features)
        strange = sorted(name for name in features if not self._sense.declares(name))
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

    def _fitting(self, image: np.ndarray, name: str) -> np.ndarray:
        """The image with the channels that the features promise, as TFDS reads it."""
        assert self.pixels is not None
        shape = shape_as_read(image.shape, self.pixels)
        check_promised(shape, image.dtype, self.pixels, name)
        return np.repeat(image, 3, axis=2) if shape != image.shape else image
