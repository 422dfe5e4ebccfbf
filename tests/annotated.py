"""Data sets with boxes and masks, written and read as others do it."""

import contextlib
import io
import json
import tarfile

import numpy as np
import pytest
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter
from strangers import decoded, encoded, noise, read_tars, write_tar, write_tfds
from tensorflow_datasets.core.features import bounding_boxes
from tensorflow_datasets.proto import tf_example_pb2

OBJECTS = ("cat", "dog", "bird")
PARTS = ("sky", "tree", "void")


def corners(number, count):
    """Boxes in an image, no two alike: float32 (count, 4)."""
    rng = np.random.default_rng((7, number))
    least = rng.random((count, 2)) * 0.95
    size = np.maximum(rng.random((count, 2)) * (1 - least), 0.03)
    return np.hstack([least, least + size]).astype(np.float32)


def boxes_of(number):
    """What each object of an image has; every third image has none."""
    count = number % 3
    rng = np.random.default_rng((8, number))
    return {
        "bbox": corners(number, count),
        "label": rng.integers(0, 3, count),
        "is_crowd": rng.integers(0, 2, count).astype(bool),
        "area": rng.random(count, np.float32) * 100,
    }


def mask_of(number, height, width):
    """A mask of large areas and some dots."""
    rng = np.random.default_rng((9, number))
    rows, columns = -(-height // 5), -(-width // 7)
    coarse = rng.integers(0, 3, (rows, columns), np.uint8)
    mask = coarse.repeat(5, 0).repeat(7, 1)[:height, :width]
    dots = rng.random(mask.shape) < 0.1
    return np.where(dots, rng.integers(0, 3, mask.shape, np.uint8), mask)


def write_pets(folder, count, *, height=16, width=16, mask=False, change=None, **more):
    """A TFDS data set of pictures with boxes, in a folder.

    Args:
      folder: The folder.
      count: How many images.
      height: Height of each.
      width: Width of each.
      mask: Whether they have masks as well.
      change: Changes what is stored of an image, by its number.
      more: More features of each object, with a value for all.
    """
    features = {
        "image": tfds.features.Image(shape=(height, width, 3)),
        "objects": tfds.features.Sequence(
            {
                "bbox": tfds.features.BBoxFeature(),
                "label": tfds.features.ClassLabel(names=OBJECTS),
                "is_crowd": np.bool_,
                "area": np.float32,
                **{name: feature for name, (feature, _) in more.items()},
            }
        ),
    }
    if mask:
        shape = (height, width, 1)
        features["parts"] = tfds.features.LabeledImage(labels=list(PARTS), shape=shape)
    examples = []
    for number in range(count):
        stored = {
            "image": noise(number, height=height, width=width),
            "objects": boxes_of(number),
        }
        if mask:
            stored["parts"] = mask_of(number, height, width)
        if change is not None:
            change(number, stored)
        example = {name: io.BytesIO(encoded(stored[name])) for name in ("image",)}
        if mask:
            example["parts"] = io.BytesIO(encoded(stored["parts"]))
        boxes = stored["objects"]
        example["objects"] = [
            {
                **{name: values[n] for name, values in boxes.items()},
                **{name: value for name, (_, value) in more.items()},
            }
            for n in range(len(boxes["label"]))
        ]
        examples.append(example)
    with _unchecked():
        write_tfds(folder, features, examples)
    return f"tfds:{folder}"


@contextlib.contextmanager
def _unchecked():
    """TFDS refuses boxes that are none, which others have stored all the same."""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tfds.features.BBoxFeature, "encode_example", lambda _, box: box)
        yield


def read_annotated(folder, split="train"):
    """Lists (image, objects, mask), as `tfds` and `tarfile` read them without us."""
    if (folder / "features.json").exists():
        features = tfds.builder_from_directory(folder).info.features
        if "objects" in features:
            box = features["objects"].feature["bbox"]
            assert box.bbox_format == bounding_boxes.bb_utils.BBoxFormat.REL_YXYX
            assert list(features["objects"].feature["label"].names) == [*OBJECTS]
        for example in tfds.builder_from_directory(folder).as_data_source(split):
            mask, found = example.get("parts"), example.get("objects")
            yield (
                example["image"],
                found and {name: np.array(values) for name, values in found.items()},
                None if mask is None else mask[..., 0],
            )
        return
    for _, image, beside in read_tars(folder):
        found = None
        if "objects.json" in beside:
            form = json.loads(beside["objects.json"])
            assert form["classes"] == [*OBJECTS]
            rows = form["objects"]
            kinds = {
                "bbox": np.float32,
                "label": np.int64,
                "is_crowd": bool,
                "area": np.float32,
            }
            assert all(row.keys() == kinds.keys() for row in rows)
            found = {
                name: np.array([row[name] for row in rows], kind)
                for name, kind in kinds.items()
            }
            found["bbox"] = found["bbox"].reshape(-1, 4)
        mask = beside.get("parts_mask.png")
        yield image, found, None if mask is None else decoded(mask)[..., 0]


def rewrite(folder, change):
    """Changes the features of each record of a data set, or the members of its tar."""
    (tar,) = folder.glob("*.tar") if any(folder.glob("*.tar")) else (None,)
    if tar is not None:
        with tarfile.open(tar) as file:
            members = {one.name: file.extractfile(one).read() for one in file}
        change(members)
        write_tar(tar, members.items())
        return
    (path,) = folder.glob("*.array_record*")
    reader = ArrayRecordReader(str(path))
    records = reader.read_all()
    reader.close()
    path.unlink()
    writer = ArrayRecordWriter(str(path), "group_size:1")
    for record in records:
        example = tf_example_pb2.Example.FromString(record)
        change(example.features.feature)
        writer.write(example.SerializeToString(deterministic=True))
    writer.close()


def same(found, expected):
    """Whether objects have the very same, to the last bit, and of the same types."""
    return found.keys() == expected.keys() and all(
        # Of none, TFDS gives an empty list.
        len(found[name]) == len(value) == 0
        or (found[name].dtype == value.dtype and np.array_equal(found[name], value))
        for name, value in expected.items()
    )


def values_of(image):
    """What no shuffle changes, however an image was padded by its edge."""
    return np.sort(image.reshape(-1, 3), axis=0).tobytes()
