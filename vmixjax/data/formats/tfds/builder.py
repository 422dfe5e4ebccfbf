"""What describes a data set that TFDS has prepared, checked before TFDS believes it.

A folder of TFDS says in `features.json` which Python classes make sense of its records,
and TFDS imports whatever module is named there; it says in `dataset_info.json` how many
records there are and what their files are called. All of that may come from anybody, so
nothing here is handed to TFDS that names a class which is not TFDS's own, files
elsewhere, or more records than there are. Whatever reads TFDS folders opens them here.
"""

import difflib
import functools
import inspect
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from google.protobuf import json_format
from google.protobuf.message import Message
from tensorflow_datasets.core import naming
from tensorflow_datasets.core.proto import dataset_info_pb2, feature_pb2

from vmixjax.data.bounded import read_bounded
from vmixjax.data.files import is_inside, is_text
from vmixjax.data.formats.tfds.array_record import check_array_record
from vmixjax.data.inside import inside, is_plain
from vmixjax.errors import RunError

_INFO, _FEATURES = "dataset_info.json", "features.json"
_MOST_BYTES = 2**24
"""Of a file that describes a data set."""

_MOST_CLASSES = 2**20
"""TFDS makes a name for each, whether there are such records or not."""

_MOST_RECORD = 2**27
"""Bytes of a record, once it is inflated, unless its file has more than that."""

_NAMED = 3
"""Data sets that a complaint names, at most."""

_BUILD = "tfds build {} --file_format=array_record"


def is_prepared(folder: Path) -> bool:
    """Tells whether a folder is one that TFDS has prepared."""
    return (folder / _INFO).is_file()


def open_prepared(name: str, data_dir: str | None) -> Any:
    """Opens the TFDS builder of a data set that is prepared, and is what it says.

    Args:
      name: Name of a data set, as TFDS takes it, or its folder.
      data_dir: Folder where TFDS keeps its data sets; by default where TFDS looks.

    Raises:
      RunError: It is unknown, not prepared, or not what it says.
    """
    folder = Path(name)
    if not is_prepared(folder):
        try:
            folder = _folder_of(name, data_dir)
        except RunError as error:
            raise _holding(folder) or error from error
    if not is_text(str(folder)):
        raise RunError(
            f"{folder} has a name that is no text in UTF-8, which TFDS cannot read: "
            f"rename it"
        )
    splits = _check_info(folder)
    _check_features(folder)
    for path in folder.glob("*.txt"):
        # Names of classes, which TFDS reads whole.
        read_bounded(path, _MOST_BYTES)
    try:
        builder = tfds.builder_from_directory(folder)
        array_record = builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD
        names = {
            split: [
                one.filename for one in builder.info.splits[split].file_instructions
            ]
            # Of a split without records, TFDS has nothing but a warning.
            for split, lengths in splits.items()
            if any(lengths)
        }
    except Exception as error:
        # On what it does not expect TFDS raises nearly every type there is, and quotes
        # the file at length.
        raise _damaged(folder, "TFDS cannot read it") from error
    if not array_record:
        raise RunError(
            f"{name} in {folder} cannot be read by number: prepare it as ArrayRecord, "
            f"`{_BUILD.format(name)}`"
        )
    for split, lengths in splits.items():
        there = [length for length in lengths if length]
        _check_files(folder, names.get(split, []), there)
    return builder


def _folder_of(name: str, data_dir: str | None) -> Path:
    """Where TFDS has prepared a data set: `DIR/NAME[/CONFIG]/VERSION`."""
    try:
        parsed, options = naming.parse_builder_name_kwargs(name)
        config, version = options.pop("config", None), options.pop("version", None)
    except Exception as error:
        raise _unknown(name) from error
    named = [parsed.name, config] if config else [parsed.name]
    if parsed.namespace or options or not all(map(is_plain, named)):
        raise _unknown(name)
    places = [data_dir] if data_dir else tfds.core.utils.file_utils.list_data_dirs()
    given = [Path(place).expanduser() for place in places]
    for place in given:
        root = place / parsed.name
        if config is None and not _versions(root):
            config = _default_config(parsed.name, root)
        versions = _versions(root / config if config else root)
        if version is not None:
            versions = [p for p in versions if tfds.core.Version(p.name).match(version)]
        if versions:
            return versions[-1]
    if _code(parsed.name) is None:
        raise _unknown(name)
    where = f" --data_dir={data_dir}" if data_dir else ""
    raise RunError(
        f"TFDS has not prepared {name} in {given[-1]}: run "
        f"`{_BUILD.format(name)}{where}` "
        f"(which needs TensorFlow), or point --data-dir to where it has"
    )


def _holding(folder: Path) -> RunError | None:
    """Complains of a folder that data sets lie below, as `NAME/CONFIG/VERSION`."""
    level = [folder]
    for _ in range(3):
        level = [below for one in level for below in sorted(_entries(one))]
        if found := [f"tfds:{one}" for one in level if is_prepared(one)]:
            more = f" or {len(found) - _NAMED} more" if len(found) > _NAMED else ""
            return RunError(
                f"{folder} is no data set, but holds what TFDS has prepared: name "
                f"{' or '.join(found[:_NAMED])}{more}"
            )
    return None


def _versions(folder: Path) -> list[Path]:
    """The folders of prepared versions, the newest last."""
    versions = [
        path
        for path in _entries(folder)
        if tfds.core.Version.is_valid(path.name) and is_prepared(path)
    ]
    return sorted(versions, key=lambda path: tfds.core.Version(path.name))


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _default_config(name: str, root: Path) -> str | None:
    """The config that is meant where none is named, if any is prepared."""
    configs = sorted(path.name for path in _entries(root) if _versions(path))
    known = [config.name for config in getattr(_code(name), "BUILDER_CONFIGS", ())]
    if len(configs) < 2:
        return configs[0] if configs else None
    if known and known[0] in configs:
        return str(known[0])
    raise RunError(
        f"{name} in {root} has several configs; name one of them: "
        f"{', '.join(f'{name}/{one}' for one in configs)}"
    )


def _code(name: str) -> Any:
    """The class by which TFDS prepares a data set; None where it knows none."""
    try:
        return tfds.builder_cls(name)
    except tfds.core.DatasetNotFoundError:
        return None


def _unknown(name: str) -> RunError:
    known = tfds.list_builders(with_community_datasets=False)
    near = [f"tfds:{one}" for one in difflib.get_close_matches(name, known)]
    mean = f"; did you mean {' or '.join(near)}?" if near else ""
    return RunError(f"TFDS has no data set {name!r}, nor is it the folder of one{mean}")


def _damaged(folder: Path, why: str) -> RunError:
    return RunError(
        f"{folder} is no data set as TFDS prepares them: {why}; use another copy"
    )


def _check_info(folder: Path) -> dict[str, list[int]]:
    """The lengths of the shards of each split, as `dataset_info.json` has them."""
    info = _parse(folder, _INFO, dataset_info_pb2.DatasetInfo())
    names = [info.name, *(split.name for split in info.splits)]
    strange = [name for name in names if not is_plain(name)]
    if strange:
        raise _damaged(folder, f"{_INFO} has the name {strange[0]!r}")
    lengths = {split.name: list(split.shard_lengths) for split in info.splits}
    if len(lengths) < len(info.splits):
        raise _damaged(folder, f"{_INFO} has two splits of the same name")
    if any(length < 0 for split in lengths.values() for length in split):
        raise _damaged(folder, f"{_INFO} has shards of less than no records")
    return lengths


def _check_features(folder: Path) -> None:
    """Refuses features that are not TFDS's own."""
    features = _parse(folder, _FEATURES, feature_pb2.Feature())
    for feature in _messages(features):
        if isinstance(feature, feature_pb2.Feature):
            name = feature.python_class_name
            if name not in _own_features():
                raise _damaged(
                    folder, f"{_FEATURES} names {name!r}, which is no feature of TFDS"
                )
            if feature.WhichOneof("content") is None:
                raise _damaged(folder, f"{_FEATURES} says nothing of a {name}")
        # In this form of old, features can name classes and files once more.
        if isinstance(feature, feature_pb2.JsonFeature):
            raise _damaged(folder, f"{_FEATURES} has a form that is no longer written")
        if isinstance(feature, feature_pb2.FeaturesDict):
            _check_names(folder, feature.features)
        if (
            isinstance(feature, feature_pb2.ClassLabel)
            and not 0 <= feature.num_classes <= _MOST_CLASSES
        ):
            raise _damaged(folder, f"{_FEATURES} has {feature.num_classes} classes")


def _check_names(folder: Path, names: Iterable[str]) -> None:
    """Refuses names of features that lead out of a folder: files are called by them."""
    for name in names:
        try:
            inside(name)
        except ValueError as error:
            raise _damaged(folder, f"{_FEATURES} has a feature {name!r}") from error


def _check_files(folder: Path, names: list[str], lengths: list[int]) -> None:
    """Refuses files that are elsewhere, or hold fewer or more records than is said."""
    if len(names) != len(lengths):
        raise _damaged(folder, f"{_INFO} has other numbers of files than of lengths")
    for path, length in zip(map(Path, names), lengths, strict=True):
        if path.parent.resolve() != folder.resolve() or not is_inside(path, folder):
            raise _damaged(
                folder,
                f"{path} is not in it, or a link that leads out of it",
            )
        try:
            count = check_array_record(
                path, limit=max(_MOST_RECORD, path.stat().st_size)
            )
        except FileNotFoundError as error:
            raise _damaged(folder, f"{path.name} is missing") from error
        except ValueError as error:
            raise _damaged(folder, f"{path.name} {error}") from error
        if count != length:
            raise _damaged(
                folder, f"{path.name} holds {count} records, and {_INFO} says {length}"
            )


def _parse(folder: Path, name: str, kind: Message) -> Any:
    """A file that describes a data set, parsed as TFDS does it."""
    try:
        data = json.loads(read_bounded(folder / name, _MOST_BYTES))
        if not isinstance(data, dict):
            raise ValueError("it is no object")
        return json_format.ParseDict(data, kind)
    except FileNotFoundError as error:
        raise _damaged(folder, f"{name} is missing") from error
    except RunError:
        raise
    except Exception as error:
        # On names that are no text, protobuf raises what it should not.
        raise _damaged(folder, f"{name} is damaged") from error


def _messages(message: Message) -> Iterator[Message]:
    """A message and all that it consists of."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            parts = list(value.values())
        else:
            parts = [value] if isinstance(value, Message) else list(value)
        for part in parts:
            if isinstance(part, Message):
                yield from _messages(part)


@functools.cache
def _own_features() -> frozenset[str]:
    """The names of the classes of TFDS's own features."""
    names = set()
    for one in vars(tfds.features).values():
        if inspect.isclass(one) and issubclass(one, tfds.features.FeatureConnector):
            names |= {f"{one.__module__}.{one.__name__}", *vars(one).get("ALIASES", ())}
    return frozenset(names)
