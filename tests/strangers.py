"""Data sets written and read as others do it: without any of our formats or codecs."""

import io
import json
import tarfile

import numpy as np
import tensorflow_datasets as tfds
from array_record.python import array_record_module
from PIL import Image
from tensorflow_datasets.proto import tf_example_pb2


def noise(seed, *, channels=3, height=8, width=8):
    """An image (H, W, C) like no other."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, channels), np.uint8)


def encoded(image):
    """Its PNG file, by Pillow."""
    buffer = io.BytesIO()
    Image.fromarray(image.squeeze()).save(buffer, "PNG")
    return buffer.getvalue()


def decoded(data):
    image = np.asarray(Image.open(io.BytesIO(data)))
    return image if image.ndim == 3 else image[:, :, None]


def write_tree(folder, files):
    """Writes a folder: {path: bytes}."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def write_tar(path, members):
    """Writes a tar: (name, bytes) or (name, what it is a hard link to) each."""
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            if isinstance(data, str):
                member.type, member.linkname = tarfile.LNKTYPE, data
                tar.addfile(member)
            else:
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return path


def write_tfds(folder, features, examples):
    """Writes a data set of one split, as TFDS prepares them."""
    folder.mkdir(parents=True)
    features = tfds.features.FeaturesDict(features)
    name = folder / "pets-train.array_record-00000-of-00001"
    writer = array_record_module.ArrayRecordWriter(str(name), "group_size:1")
    for example in examples:
        writer.write(features.serialize_example(features.encode_example(example)))
    writer.close()
    split = tfds.core.SplitInfo(
        name="train", shard_lengths=[len(examples)], num_bytes=0
    )
    tfds.folder_dataset.write_metadata(
        data_dir=folder, features=features, split_infos=[split], check_data=False
    )
    return folder


def read_folder(folder):
    """Lists (path, image, class) of each PNG file."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    for path in paths:
        if path.suffix == ".png":
            name = path.relative_to(folder).as_posix()
            yield name, decoded(path.read_bytes()), name.rpartition("/")[0]


def read_tars(folder):
    """Lists (key, image, members beside it) of each sample."""
    for path in sorted(folder.glob("*.tar")):
        samples = {}
        with tarfile.open(path) as tar:
            for member in tar:
                parent, slash, last = member.name.rpartition("/")
                stem, _, suffix = last.partition(".")
                sample = samples.setdefault(parent + slash + stem, {})
                assert suffix not in sample
                sample[suffix] = tar.extractfile(member).read()
        for key, members in samples.items():
            yield key, decoded(members.pop("png")), members


def read_tfds(folder):
    """Lists (number, image as it is stored, name of its class) of each record."""
    names = folder / "label.labels.txt"
    classes = names.read_text().splitlines() if names.exists() else None
    number = 0
    for path in sorted(folder.glob("*.array_record-*")):
        reader = array_record_module.ArrayRecordReader(str(path))
        for record in reader.read_all():
            features = tf_example_pb2.Example.FromString(record).features.feature
            (label,) = features["label"].int64_list.value or [None]
            if classes is not None:
                label = classes[label]
            yield number, decoded(features["image"].bytes_list.value[0]), label
            number += 1
        reader.close()


def read_coco(folder):
    """Lists (path, image, (class, box) of each object) of each image."""
    for path in sorted((folder / "annotations").glob("instances_*.json")):
        said = json.loads(path.read_text())
        names = {one["id"]: one["name"] for one in said["categories"]}
        objects = {one["id"]: [] for one in said["images"]}
        for one in said["annotations"]:
            name = names[one["category_id"]]
            objects[one["image_id"]].append((name, one["bbox"]))
        for one in said["images"]:
            name = f"{path.stem.removeprefix('instances_')}/{one['file_name']}"
            image = decoded((folder / name).read_bytes())
            assert image.shape[:2] == (one["height"], one["width"])
            yield name, image, objects[one["id"]]
