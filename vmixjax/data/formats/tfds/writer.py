"""A data set that TFDS reads by itself: ArrayRecord files and their description."""

import contextlib
import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from array_record.python import array_record_module
from tensorflow_datasets.proto import tf_example_pb2

from vmixjax.data.codecs.png import encode_png, png_form
from vmixjax.data.example import Example, Field, Label, Schema
from vmixjax.data.files import is_text
from vmixjax.data.formats.tfds.choice import IMAGE
from vmixjax.data.formats.tfds.records import (
    Records,
    check_promised,
    image_of,
    shape_as_read,
)
from vmixjax.data.formats.tfds.stored import (
    add_comparable,
    add_value,
    as_read,
    feature_of,
)
from vmixjax.data.inside import create_private, move_inside, own_folder
from vmixjax.data.masks import Mask
from vmixjax.data.objects import Objects
from vmixjax.data.writing import (
    WORK,
    Files,
    Shard,
    Sink,
    Stored,
    flush,
    not_stored,
    part_folder,
    part_path,
    sequence_number,
    sha256,
)
from vmixjax.errors import RunError

_CLASSED = Label | Objects | Mask
"""Fields whose classes TFDS has the names of."""

_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
_ABOUT = (
    "Images mixed by vmixjax: regions of pixels are shuffled, so that it is hard to "
    "recognise what they show."
)


class TfdsSink(Sink):
    """Writes ArrayRecord files, `features.json` and `dataset_info.json`.

    Args:
      root: Folder to write to.
      schema: What is to be held.

    Raises:
      RunError: Nothing is known of the images, or a name is no text.
    """

    def __init__(self, root: Path, schema: Schema) -> None:
        pixels = schema.pixels
        if pixels is None:
            raise RunError("SRC has no image that can be read; --format tfds needs one")
        _check_names(root, schema)
        _check_classes(schema.fields)
        self.root, self._name = root, schema.name
        self._fields: dict[str, tuple[str, Field]] = {}
        for key, field in schema.fields.items():
            name = self.called(key)
            if name in (IMAGE, *self._fields):
                raise RunError(
                    f"--format tfds cannot hold the field {key}, as it has another "
                    f"{name}: leave it behind with --drop {key}"
                )
            self._fields[name] = key, field
        self.holds: Sequence[str] = sorted(self._fields)
        image = tfds.features.Image(
            shape=pixels.shape,
            dtype=np.dtype(pixels.dtype).type,
            encoding_format="png",
        )
        self._features = tfds.features.FeaturesDict(
            {
                IMAGE: image,
                **{
                    key: feature_of(field, pixels)
                    for key, (_, field) in self._fields.items()
                },
            }
        )
        read = _read_back(self._features)
        self._pixels = pixels
        self._as_read = {
            key: as_read(key, read[key], field)
            for key, (_, field) in self._fields.items()
        }
        self._sense = Records(schema.name, read, self._as_read)
        classes = {
            key: field.names
            for key, field in self._as_read.items()
            if isinstance(field, _CLASSED)
        }
        self._classes = json.dumps(classes, sort_keys=True).encode()

    def output(self, example: Example, shard: Shard, index: int, names: bool) -> str:
        """Records have no names, so it is always the number."""
        del example, names
        return f"{shard.split}/{sequence_number(index, shard.count)}"

    def encode(self, example: Example, output: str) -> bytes:
        """It is a `tf.train.Example`."""
        record = _record(self._fields, example.values)
        image = record.features.feature[IMAGE]
        image.bytes_list.value.append(encode_png(example.image))
        serialized: bytes = record.SerializeToString(deterministic=True)
        return serialized

    def reread(self, record: bytes, output: str) -> Stored:
        """Its reader takes the name from the place of the record."""
        features = self._sense.features(record, output)
        shape, dtype = png_form(image_of(features, output))
        values = self._sense.values(features, output, shape[:2])
        check_promised(shape_as_read(shape, self._pixels), dtype, self._pixels, output)
        held = self._serialized(
            {name: (name, f) for name, f in self._as_read.items()}, values
        )
        return Stored(output, shape, dtype, held)

    def called(self, field: str) -> str:
        """Classes have the name by which TFDS finds them."""
        return "label" if field == "cls" else field

    def belongings(self, example: Example) -> bytes:
        """They are the other features, and the names of classes."""
        return self._serialized(self._fields, example.values)

    def _serialized(
        self, fields: Mapping[str, tuple[str, Field]], values: Mapping[str, Any]
    ) -> bytes:
        record = _record(fields, values, add=add_comparable)
        serialized: bytes = record.SerializeToString(deterministic=True)
        return self._classes + serialized

    @contextlib.contextmanager
    def write(self, shard: Shard, files: Files, disk: Executor) -> Iterator["_Records"]:
        del disk
        place = f"{shard.number:05d}-of-{shard.shards:05d}"
        name = f"{self._name}-{shard.split}.array_record-{place}"
        path = part_path(own_folder(self.root, WORK))
        files.parts[name] = path, ""
        # Its own way to make a file would let others read it.
        create_private(path).close()
        records = _Records(path)
        try:
            yield records
        except BaseException:
            # What stops the run is what people are to hear of.
            with contextlib.suppress(RunError):
                records.close()
            raise
        records.close()
        records.check()
        flush(path)
        files.parts[name] = path, sha256(path)

    def finish(self, counts: Mapping[str, list[tuple[int, int]]]) -> dict[str, str]:
        """Writes what TFDS knows of a data set."""
        template = tfds.core.ShardedFileTemplate(
            data_dir=self.root,
            dataset_name=self._name,
            filetype_suffix="array_record",
            template=_TEMPLATE,
        )
        info = tfds.core.DatasetInfo(
            builder=tfds.core.dataset_info.DatasetIdentity(
                name=self._name,
                version=tfds.core.Version("1.0.0"),
                data_dir=str(self.root),
                module_name="",
            ),
            description=_ABOUT,
            features=self._features,
            supervised_keys=(IMAGE, "label") if "label" in self._fields else None,
        )
        info.set_file_format(tfds.core.FileFormat.ARRAY_RECORD)
        splits = [
            tfds.core.SplitInfo(
                name=split,
                shard_lengths=[length for length, _ in shards],
                num_bytes=sum(size for _, size in shards),
                filename_template=template.replace(split=split),
            )
            for split, shards in counts.items()
        ]
        info.set_splits(tfds.core.SplitDict(splits))
        # Aside first: TFDS does not write them at once.
        folder = part_folder(own_folder(self.root, WORK))
        info.write_to_directory(folder)
        written = {}
        for path in sorted(folder.iterdir()):
            flush(path)
            written[path.name] = sha256(path)
        move_inside(
            self.root, [(f"{WORK}/{folder.name}/{name}", name) for name in written]
        )
        folder.rmdir()
        return written


class _Records:
    def __init__(self, path: Path) -> None:
        self._path = path
        # One record to a group, so that any of them is read alone; PNG is compressed.
        self._writer = array_record_module.ArrayRecordWriter(
            str(path), "group_size:1,uncompressed"
        )
        self._digest = hashlib.sha256()
        self._count = 0

    def add(self, name: str, record: bytes) -> None:
        del name
        with _one_line():
            self._writer.write(record)
        self._digest.update(record)
        self._count += 1

    def close(self) -> None:
        with _one_line():
            self._writer.close()

    def check(self) -> None:
        """Reads back what was written, record by record."""
        digest, count = hashlib.sha256(), 0
        reader = array_record_module.ArrayRecordReader(str(self._path))
        try:
            count = reader.num_records()
            for start in range(0, count, 64):
                for record in reader.read(range(start, min(start + 64, count))):
                    digest.update(record)
        finally:
            reader.close()
        if count != self._count or digest.digest() != self._digest.digest():
            raise not_stored()


@contextlib.contextmanager
def _one_line() -> Iterator[None]:
    """ArrayRecord tells what is wrong with a disk at length, as a RuntimeError."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).partition(";")[0].removeprefix("write() failed: ")
        raise RunError(
            f"DST cannot be written: {reason}; mend that, and run again"
        ) from error


def _check_names(root: Path, schema: Schema) -> None:
    """Refuses names that TFDS, which takes text only, could not store or read back."""
    if not is_text(str(root)):
        raise RunError(
            f"DST {root} has a name that is no text in UTF-8, which TFDS cannot read: "
            f"name another folder, or choose another --format"
        )
    for key, field in schema.fields.items():
        if not is_text(key):
            raise RunError(
                f"--format tfds cannot hold the field {key}, whose name is no text in "
                f"UTF-8: leave it behind with --drop {key}, or choose another --format"
            )
        names = (field.names or ()) if isinstance(field, _CLASSED) else ()
        for name in names:
            if not is_text(name):
                raise RunError(
                    f"--format tfds cannot hold the class {name}, whose name is no "
                    f"text in UTF-8: rename its folder, or choose another --format"
                )


def _record(
    fields: Mapping[str, tuple[str, Field]],
    values: Mapping[str, Any],
    *,
    add: Callable[[Any, str, Field, Any], None] = add_value,
) -> Any:
    """The `tf.train.Example` of values, but for the image.

    Args:
      fields: What is held: for each name in the data set that of the value.
      values: Values as of `Example.values`.
      add: Adds a value to its features.
    """
    record = tf_example_pb2.Example()
    features = record.features.feature
    for name, (key, field) in fields.items():
        add(features, name, field, values[key])
    return record


def _check_classes(fields: Mapping[str, Field]) -> None:
    """Refuses names of classes that TFDS, which stores a line for each, would merge."""
    for key, field in fields.items():
        names = (field.names or ()) if isinstance(field, _CLASSED) else ()
        # What surrounds them is not stored.
        lines = [name.strip() for name in names]
        if "" in lines:
            raise RunError(
                "--format tfds cannot hold images without a class beside such with "
                "one: move those that lie beside the folders of classes into one of "
                "their own, or choose another format"
            )
        bad = [name for name in lines if name.splitlines() != [name]]
        bad += [name for name, count in Counter(lines).items() if count > 1]
        if bad:
            raise RunError(
                f"--format tfds cannot hold the class {bad[0]} of {key}, which would "
                f"be read as others are: rename it, or choose another format"
            )


def _read_back(features: Any) -> Any:
    """What TFDS reads of features that it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            features.save_config(folder)
            return tfds.features.FeaturesDict.from_config(folder)
        except (ValueError, UnicodeError) as error:
            raise RunError(
                f"--format tfds cannot hold the fields {', '.join(features)}, which "
                f"TFDS does not read back: leave some behind with --drop, rename "
                f"classes that are no text, or choose another format"
            ) from error
