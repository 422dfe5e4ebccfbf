"""Small COCO data sets, written as others do it: by Pillow and `json`."""

import json

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 32, 48
CATEGORIES = [
    {"supercategory": "animal", "id": 1, "name": "cat"},
    {"supercategory": "tool", "id": 90, "name": "brush"},
    {"supercategory": "animal", "id": 3, "name": "dog"},
]
NAMES = ("cat", "dog", "brush")
"""By their ids."""


def picture(seed, height=HEIGHT, width=WIDTH):
    """An image (H, W, 3) like no other."""
    return np.random.default_rng(seed).integers(
        0, 256, (int(height), int(width), 3), np.uint8
    )


def annotations(count=3, *, suffix="png", within=""):
    """What a file says of so many images; image i has i objects."""
    images = [
        {
            "license": 1,
            "file_name": f"{within}{number:012d}.{suffix}",
            "coco_url": "http://images.example/1.jpg",
            "height": HEIGHT,
            "width": WIDTH,
            "date_captured": "2013-11-14 11:18:45",
            "id": 100 + number,
        }
        for number in range(count)
    ]
    objects = [
        {
            "segmentation": [[1.5, 2.5, 20.0, 2.5, 20.0, 12.0]],
            "area": 100.25 + one,
            "iscrowd": one % 2,
            "image_id": 100 + number,
            "bbox": [1.23 + one, 2.5, 20.11, 10.07 + number],
            "category_id": (1, 3, 90)[one % 3],
            "id": 7000 + 100 * number + one,
        }
        for number in range(count)
        for one in range(number)
    ]
    return {
        "info": {"description": "Anna's holidays", "contributor": "Anna"},
        "licenses": [{"id": 1, "url": "http://licence.example", "name": "by"}],
        "images": images,
        "annotations": objects,
        "categories": CATEGORIES,
    }


def write_images(folder, said, seed=0):
    """Writes the images that annotations name into a folder."""
    for number, one in enumerate(said["images"]):
        path = folder / one["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = picture(seed + number, one["height"], one["width"])
        Image.fromarray(pixels).save(path)


def write_json(path, said):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(said))
    return path


def write_coco(root, **splits):
    """Writes a data set as COCO has it: of each split so many images."""
    for seed, (split, count) in enumerate(splits.items()):
        said = annotations(count)
        write_json(root / "annotations" / f"instances_{split}.json", said)
        (root / split).mkdir(parents=True, exist_ok=True)
        write_images(root / split, said, 1000 * seed)
    return root


def shares(said, number):
    """Corners of the objects in an image, as TFDS divides them: float32 (N, 4)."""
    one = said["images"][number]
    boxes = [
        (
            y / one["height"],
            x / one["width"],
            (y + h) / one["height"],
            (x + w) / one["width"],
        )
        for a in said["annotations"]
        if a["image_id"] == one["id"]
        for x, y, w, h in [a["bbox"]]
    ]
    return np.array(boxes, np.float64).reshape(-1, 4).astype(np.float32)
