"""A WebDataset: tar files of samples, with nothing in their headers but names."""

import contextlib
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from vmixjax.data.arrays import encode_npy
from vmixjax.data.codecs.png import encode_png, png_form
from vmixjax.data.example import (
    Example,
    Field,
    Label,
    Probabilities,
    Raw,
    Schema,
    Text,
)
from vmixjax.data.formats.webdataset.names import key, suffix
from vmixjax.data.formats.webdataset.samples import (
    IMAGES,
    LABEL,
    OBJECTS_FILE,
    SOFT_LABEL_FILE,
    image_of,
    mask_name,
    mask_suffix,
    parse_member,
    read_sample,
    values_of,
)
from vmixjax.data.formats.webdataset.tar import member_header, walk_bytes
from vmixjax.data.inside import create_private, own_folder
from vmixjax.data.mask_files import encode_mask, mask_bytes
from vmixjax.data.masks import Mask, names_mask
from vmixjax.data.objects import OBJECTS, Objects
from vmixjax.data.objects_json import encode_objects
from vmixjax.data.probabilities import SOFT_LABEL
from vmixjax.data.writing import (
    WORK,
    Files,
    Shard,
    Sink,
    Stored,
    check_stored,
    part_path,
    release_path,
    sequence_number,
)
from vmixjax.errors import ImageError, RunError


class WebDatasetSink(Sink):
    """Writes tar files of PNG files, each followed by its class and texts.

    Args:
      root: Folder to write to.
      schema: What is to be held.

    Raises:
      RunError: A field is neither a class nor text, or would be read as another.
    """

    def __init__(self, root: Path, schema: Schema) -> None:
        self.root, self._given = root, schema.fields
        self._suffixes = {
            name: _suffix(name, field) for name, field in schema.fields.items()
        }
        for name in sorted(schema.fields):
            self._check(name, schema.fields[name])
        # As its reader takes them.
        self._fields = {
            self.called(name): self._as_read(name, field)
            for name, field in schema.fields.items()
        }
        self.holds: Sequence[str] = sorted(self._fields)

    def _check(self, name: str, field: Field) -> None:
        """Refuses a field that would be read as something else."""
        mine = self._suffixes[name]
        others = [one for one, its in self._suffixes.items() if its == mine]
        why = ""
        if isinstance(field, Raw):
            why = "whose kind has no file of its own"
        elif not isinstance(field, Mask) and mask_name(mine):
            why = "whose name is that of masks"
        elif mine in IMAGES:
            why = "whose name is that of images"
        elif mine == LABEL and not isinstance(field, Label):
            why = f"since .{LABEL} holds the numbers of classes"
        elif (self.called(name) == SOFT_LABEL) != isinstance(field, Probabilities):
            why = f"since .{SOFT_LABEL_FILE}, and nothing else, holds probabilities"
        elif (self.called(name) == OBJECTS) != isinstance(field, Objects):
            why = f"since .{OBJECTS_FILE}, and nothing else, holds boxes"
        elif len(others) > 1:
            why = (
                f"as its file would be called like that of {others[others[0] == name]}"
            )
        elif not mine or "\0" in mine:
            why = "whose name is none of a file"
        if why:
            raise RunError(
                f"--format webdataset cannot hold the field {name}, {why}: leave it "
                f"behind with --drop {name}, or choose --format tfds"
            )

    def _as_read(self, name: str, field: Field) -> Field:
        """What its reader takes a field for."""
        if isinstance(field, Probabilities):
            return Probabilities(field.count)
        if isinstance(field, Objects):
            return Objects(field.names or None, field.others)
        if isinstance(field, Mask):
            return Mask(cells=field.cells)
        return Label() if self._suffixes[name] == LABEL else Text()

    def output(self, example: Example, shard: Shard, index: int, names: bool) -> str:
        """It is a key; numbers of other splits than the usual one begin with it."""
        if names:
            return release_path(key(example.stem), example)
        number = sequence_number(index, shard.count)
        return number if shard.split == "train" else f"{shard.split}/{number}"

    def encode(self, example: Example, output: str) -> bytes:
        """It is a piece of a tar file."""
        members = [("png", encode_png(example.image)), *self._members(example)]
        buffer = io.BytesIO()
        for one, content in members:
            buffer.write(member_header(f"{output}.{one}", len(content)))
            buffer.write(content)
            buffer.write(bytes(-len(content) % tarfile.BLOCKSIZE))
        return buffer.getvalue()

    def reread(self, record: bytes, output: str) -> Stored:
        """Its reader takes everything from the members."""
        try:
            found, members = read_sample(walk_bytes(record), io.BytesIO(record), output)
        except ImageError:
            raise
        except ValueError as error:
            raise ImageError(f"the sample {output} {error}") from error
        expected = {parse_member(f".{one}")[1] for one in self._suffixes.values()}
        if set(members) - IMAGES != expected:
            raise ImageError(f"the sample {output} has other members")
        shape, dtype = png_form(image_of(output, members, IMAGES))
        values = values_of(output, members, self._fields, shape[:2])
        held = [
            (name, _comparable(value, self._fields[name]))
            for name, value in values.items()
        ]
        return Stored(found, shape, dtype, _belongings(held))

    def called(self, field: str) -> str:
        """It is the name of a member, as its reader takes it."""
        suffix = parse_member(f".{self._suffixes[field]}")[1]
        return mask_name(suffix) or suffix

    def belongings(self, example: Example) -> bytes:
        """They are the members beside the image."""
        return _belongings(
            [
                (self.called(name), _comparable(example.values[name], field))
                for name, field in self._given.items()
            ]
        )

    def _members(self, example: Example) -> list[tuple[str, bytes]]:
        return [
            (self._suffixes[name], _content(example.values[name], field))
            for name, field in self._given.items()
        ]

    @contextlib.contextmanager
    def write(self, shard: Shard, files: Files, disk: Executor) -> Iterator["_Tar"]:
        del disk
        path = part_path(own_folder(self.root, WORK))
        files.parts[f"{shard.name}.tar"] = path, ""
        with create_private(path) as file:
            tar = _Tar(file)
            yield tar
            tar.write(bytes(2 * tarfile.BLOCKSIZE))
        expected = tar.digest.hexdigest()
        check_stored(path, expected)
        files.parts[f"{shard.name}.tar"] = path, expected


def _suffix(name: str, field: Field) -> str:
    """The suffix of the members that hold a field."""
    if isinstance(field, Label) and name == "label":
        return LABEL
    if isinstance(field, Mask):
        # By its name the reader tells it from an image.
        return mask_suffix(suffix(name if names_mask(name) else f"{name}_mask"))
    if isinstance(field, Probabilities):
        return suffix(f"{name}.npy")
    return suffix(f"{name}.json" if isinstance(field, Objects) else name)


def _content(value: Any, field: Field) -> bytes:
    if isinstance(field, Objects):
        return encode_objects(field, value)
    if isinstance(field, Mask):
        return encode_mask(value)
    if isinstance(value, np.ndarray):
        return encode_npy(value)
    return str(value).encode("utf-8", "surrogateescape")


def _comparable(value: Any, field: Field) -> bytes:
    """What a member says, alike for alike: masks may be of many files."""
    return mask_bytes(value) if isinstance(field, Mask) else _content(value, field)


def _belongings(held: list[tuple[str, bytes]]) -> bytes:
    return json.dumps(sorted((name, content.hex()) for name, content in held)).encode()


class _Tar:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def add(self, name: str, record: bytes) -> None:
        del name
        self.write(record)

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self.digest.update(data)
