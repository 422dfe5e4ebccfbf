"""A data set that TFDS has prepared, read without TensorFlow."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_pb2

from vmixjax.release.errors import RunError
from vmixjax.release.examples import (
    Example,
    Field,
    Label,
    Pixels,
    Raw,
    Text,
    numbered_candidates,
)
from vmixjax.release.images import ImageError, decode_image

IMAGE = "image"
_NAMING = ("id", "name", "path", "file", "filename", "url", "key", "uri")
"""Last words of the names of fields that name an image."""


class TfdsSource:
    """Splits of a TFDS data set.

    Args:
      name: of a data set, or its folder.
      data_dir: where TFDS keeps its data sets; by default where TFDS looks.
      splits: those to read; all if empty.
      drop: features to leave behind.
      keep: features to let through although they hold arrays, or pixels;
        None lets all of them through.

    Raises:
      RunError: it is unknown or not prepared, has no image, or has other features that
        may show what the image shows and are neither dropped nor kept.
    """

    def __init__(
        self,
        name: str,
        data_dir: str | None,
        splits: Sequence[str],
        drop: Sequence[str],
        keep: Sequence[str] | None,
    ) -> None:
        builder = _builder(name, data_dir)
        info = builder.info
        unknown = sorted(set(splits) - set(info.splits))
        if unknown:
            has = ", ".join(info.splits)
            raise RunError(f"--splits {unknown[0]}: {name} has {has} only")
        self.name = info.name
        self.places: Sequence[Path] = (Path(builder.data_dir),)
        self.splits: Mapping[str, int] = {
            split: info.splits[split].num_examples for split in splits or info.splits
        }
        features = dict(info.features.items())
        image = features.pop(IMAGE, None)
        if not isinstance(image, tfds.features.Image) or image.np_dtype == np.float32:
            raise RunError(
                f"{name} has no feature {IMAGE!r} that is an image of whole numbers; "
                f"it has {', '.join(info.features)}"
            )
        self.pixels: Pixels | None = Pixels(image.shape, np.dtype(image.np_dtype))
        for option, names in (("--drop", drop), ("--keep", keep or ())):
            strange = sorted(set(names) - set(features))
            if strange:
                raise RunError(
                    f"{option} {strange[0]}: {name} has {', '.join(features)} beside "
                    f"the image"
                )
        self.fields: Mapping[str, Field] = {
            key: _field(key, feature, keep is None or key in keep)
            for key, feature in features.items()
            if key not in drop
        }
        self._traces = [
            f"{split}\0{info.splits[split].shard_lengths}\0{info.splits[split].num_bytes}"
            for split in self.splits
        ]
        raw = tfds.decode.DeserializeMethod.RAW_BYTES
        try:
            self._records: Mapping[str, Sequence[bytes]] = {
                split: builder.as_data_source(split, deserialize_method=raw)
                for split in self.splits
            }
        except (NotImplementedError, ValueError) as error:
            raise RunError(
                f"{name} in {builder.data_dir} cannot be read by number: prepare it as "
                f"ArrayRecord, `tfds build {name} --file_format=array_record`"
            ) from error

    def read(self, split: str, index: int) -> Example:
        """See `Source.read`."""
        name = f"{split}/{index}"
        features = self._features(split, index)
        content = features[IMAGE].bytes_list.value
        if len(content) != 1:
            raise ImageError(f"{name} holds no image")
        values = {
            key: _value(key, field, features) for key, field in self.fields.items()
        }
        pixels = self._fitting(decode_image(content[0], name), name)
        label = self.fields.get("label")
        folder = split
        if isinstance(label, Label) and values["label"] >= 0:
            number = values["label"]
            folder += f"/{label.names[number] if label.names else number}"
        kept = f"{folder}/{index}"
        return Example(name=name, folder=folder, kept=kept, image=pixels, values=values)

    def candidates(self, name: str) -> Iterator[tuple[str, int]]:
        """See `Source.candidates`."""
        split, _, _ = name.partition("/")
        splits = {split: self.splits[split]} if split in self.splits else self.splits
        yield from numbered_candidates(name, splits)

    def content(self, split: str, index: int) -> bytes:
        """See `Source.content`."""
        (content,) = self._features(split, index)[IMAGE].bytes_list.value
        return bytes(content)

    def traces(self) -> Iterator[str]:
        """See `Source.traces`: lengths of shards, and bytes."""
        yield from self._traces

    def _features(self, split: str, index: int) -> Mapping[str, Any]:
        try:
            record = self._records[split][index]
        except Exception as error:
            # The reader has its own kinds of errors, and they quote paths.
            raise RunError(
                f"{self.name}, {split}/{index}, can no longer be read; bring its files "
                f"back and run again"
            ) from error
        features: Mapping[str, Any] = tf_example_pb2.Example.FromString(
            record
        ).features.feature
        return features

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


def _builder(name: str, data_dir: str | None) -> Any:
    try:
        if (Path(name) / "dataset_info.json").is_file():
            return tfds.builder_from_directory(name)
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        raise RunError(
            f"TFDS has no data set {name!r}; name another, or the folder of one"
        ) from error
    if not builder.info.splits:
        raise RunError(
            f"TFDS has not prepared {name} in {builder.data_dir}: run `tfds build "
            f"{name} --file_format=array_record`, or point --data-dir to where it has"
        )
    return builder


def _field(key: str, feature: Any, keep: bool) -> Field:
    """What a feature is to us; arrays and pixels pass only when they are meant to."""
    if isinstance(feature, tfds.features.ClassLabel):
        return Label(tuple(feature.names))
    naming = key.replace("/", "_").split("_")[-1] in _NAMING and not keep
    scalar = isinstance(feature, tfds.features.Scalar)
    if isinstance(feature, tfds.features.Text) or (scalar and _is_text(feature)):
        return Text(naming)
    if scalar and naming:
        raise RunError(
            f"the feature {key!r} may tell whose image it is: leave it behind with "
            f"--drop {key}, or let it through with --keep {key}"
        )
    if not scalar and not keep:
        kind = type(feature).__name__
        raise RunError(
            f"the feature {key!r} ({kind}) may show what the images show: leave it "
            f"behind with --drop {key}, or let it through with --keep {key}"
        )
    return Raw(feature)


def _is_text(feature: Any) -> bool:
    return np.dtype(feature.np_dtype).kind in "OSU"


def _value(key: str, field: Field, features: Mapping[str, Any]) -> Any:
    if isinstance(field, Label):
        return int(features[key].int64_list.value[0])
    if isinstance(field, Text):
        return features[key].bytes_list.value[0].decode("utf-8", "surrogateescape")
    # Nested features have flat names: all that begin with the key.
    return {
        flat: features[flat]
        for flat in sorted(features)
        if flat == key or flat.startswith(f"{key}/")
    }
