"""A TFDS data set of squares in two colours, with boxes and with masks."""

import io

import numpy as np
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter

from vmixjax.data import encode_png

SIDE = 32
OBJECTS = ("red", "blue")
PIXELS = ("nothing", "red", "void", "blue")
"""Names of classes; in masks one of them is none."""

COLOURS = {"red": (230, 40, 40), "blue": (40, 40, 230)}
COUNTS = {"train": 24, "test": 8}


def scene(seed, height=SIDE, width=SIDE):
    """An image, its objects as (class, box in pixels), and its mask."""
    rng = np.random.default_rng(seed)
    image = rng.integers(90, 160, (height, width, 3)).astype(np.uint8)
    mask = np.zeros((height, width), np.uint8)
    objects = []
    # One in each half at most, so that none hides another.
    for half in rng.permutation(2)[: 2 - (seed % 4 == 0)]:
        name = OBJECTS[rng.integers(2)]
        down, across = 4 * rng.integers(3, 5, 2)
        top = 4 * rng.integers(0, (height - down) // 4 + 1)
        left = half * width // 2 + 4 * rng.integers(0, (width // 2 - across) // 4 + 1)
        inside = slice(top, top + down), slice(left, left + across)
        image[inside], mask[inside] = COLOURS[name], PIXELS.index(name)
        objects.append(
            (name, [int(top), int(left), int(top + down), int(left + across)])
        )
    # Nothing is known of a line at the bottom.
    mask[-1] = PIXELS.index("void")
    return image, objects, mask


def write_scenes(folder, height=SIDE, width=SIDE):
    """Writes them as TFDS would, and gives what `--data.source` calls them."""
    folder.mkdir()
    anything = (None, None, 1)
    box = {
        "bbox": tfds.features.BBoxFeature(),
        "label": tfds.features.ClassLabel(names=list(OBJECTS)),
    }
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "objects": tfds.features.Sequence(box),
            "segmentation_mask": tfds.features.LabeledImage(
                labels=list(PIXELS), shape=anything
            ),
        }
    )
    infos, seed = [], 0
    for split, count in COUNTS.items():
        path = folder / f"scenes-{split}.array_record-00000-of-00001"
        writer = ArrayRecordWriter(str(path), "group_size:1")
        for _ in range(count):
            image, objects, mask = scene(seed, height, width)
            seed += 1
            sides = height, width, height, width
            encoded = features.encode_example(
                {
                    "image": io.BytesIO(encode_png(image)),
                    "objects": [
                        {
                            "bbox": tfds.features.BBox(
                                *(x / side for x, side in zip(box, sides, strict=True))
                            ),
                            "label": name,
                        }
                        for name, box in objects
                    ],
                    "segmentation_mask": io.BytesIO(encode_png(mask[..., None])),
                }
            )
            writer.write(features.serialize_example(encoded))
        writer.close()
        infos.append(
            tfds.core.SplitInfo(name=split, shard_lengths=[count], num_bytes=0)
        )
    tfds.folder_dataset.write_metadata(
        data_dir=folder, features=features, split_infos=infos, check_data=False
    )
    return f"tfds:{folder}"
