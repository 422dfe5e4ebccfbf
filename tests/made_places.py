"""Made images with squares of two classes, their boxes and their masks."""

import io

import numpy as np

from vmixjax.data import encode_png
from vmixjax.data.objects import Boxes

NAMES = ("red", "blue")


GROUNDS = ("ground", *NAMES)


def squares(count, side=32, seed=0):
    """Images uint8 (N, S, S, 3), boxes, and masks: 0 is the ground, 1 and 2 squares."""
    rng = np.random.default_rng(seed)
    images = rng.integers(90, 130, (count, side, side, 3), np.uint8)
    masks = np.zeros((count, side, side), np.uint8)
    objects = []
    for image, mask in zip(images, masks, strict=True):
        corners, labels = [], []
        # One in each half: squares do not hide each other.
        for left in (0, side // 2):
            label, size = rng.integers(2), rng.integers(side // 4, side // 2)
            top = rng.integers(side - size)
            start = left + rng.integers(side // 2 - size + 1)
            place = slice(top, top + size), slice(start, start + size)
            image[place] = (220, 30, 30) if label == 0 else (30, 30, 220)
            mask[place] = label + 1
            corners.append((top, start, top + size, start + size))
            labels.append(label)
        shares = np.asarray(corners, np.float32) / side
        objects.append(Boxes(shares, np.asarray(labels, np.int64)))
    return images, objects, masks


def write_places(folder, images, *, objects=None, masks=None, labels=None):
    """A data set as TFDS prepares it, in two splits; returns the name of its source."""
    import tensorflow_datasets as tfds
    from array_record.python.array_record_module import ArrayRecordWriter

    folder.mkdir(parents=True)
    kinds = {"image": tfds.features.Image(shape=(None, None, 3))}
    if objects is not None:
        label = tfds.features.ClassLabel(names=NAMES)
        each = {"bbox": tfds.features.BBoxFeature(), "label": label}
        kinds["objects"] = tfds.features.Sequence(each)
    if masks is not None:
        kinds["segmentation_mask"] = tfds.features.LabeledImage(
            labels=list(GROUNDS), shape=(None, None, 1)
        )
    if labels is not None:
        kinds["label"] = tfds.features.ClassLabel(names=NAMES)
    features = tfds.features.FeaturesDict(kinds)
    halves = np.array_split(np.arange(len(images)), 2)
    infos = []
    for split, half in zip(("train", "test"), halves, strict=True):
        file = folder / f"places-{split}.array_record-00000-of-00001"
        writer = ArrayRecordWriter(str(file), "group_size:1")
        for i in half:
            example = {"image": io.BytesIO(encode_png(images[i]))}
            if objects is not None:
                pairs = zip(objects[i].corners, objects[i].labels, strict=True)
                example["objects"] = [
                    {"bbox": tfds.features.BBox(*map(float, box)), "label": int(label)}
                    for box, label in pairs
                ]
            if masks is not None:
                file = io.BytesIO(encode_png(masks[i][..., None]))
                example["segmentation_mask"] = file
            if labels is not None:
                example["label"] = int(labels[i])
            writer.write(features.serialize_example(features.encode_example(example)))
        writer.close()
        infos.append(
            tfds.core.SplitInfo(name=split, shard_lengths=[len(half)], num_bytes=0)
        )
    tfds.folder_dataset.write_metadata(
        data_dir=folder, features=features, split_infos=infos, check_data=False
    )
    return f"tfds:{folder}"
