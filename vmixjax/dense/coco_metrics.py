"""COCO's metrics of detectors, as `hotcoco` computes them."""

import contextlib
import io
from collections.abc import Mapping, Sequence

import numpy as np

from vmixjax.data.objects import Boxes
from vmixjax.errors import needs

HOTCOCO = ("hotcoco", "vmixjax[detect]")
"""The package, and the extra that it comes with."""


def average_precision(
    wanted: Sequence[Boxes],
    found: Mapping[str, np.ndarray],
    size: tuple[int, int],
    *,
    classes: int,
) -> dict[str, float]:
    """Computes average precision over all images and those classes that there are.

    Args:
      wanted: The objects of each of N images.
      found: What was found in each: `corners` (N, K, 4), as shares of its sides,
        `scores` (N, K) and `labels` (N, K); -1 for nothing.
      size: Height and width of the images in pixels, by which objects are small,
        medium or large.
      classes: Number of classes.

    Returns:
      `ap50` and `ap75`, at an intersection over union of 0.5 and 0.75, and `ap`, the
      mean from 0.5 to 0.95: each 0 to 1; 0 where there are no objects at all.

    Raises:
      RunError: `hotcoco` is not installed.
    """
    with needs(*HOTCOCO):
        import hotcoco
    counts = [len(one) for one in wanted]
    if not sum(counts):
        return {"ap50": 0.0, "ap75": 0.0, "ap": 0.0}
    height, width = size
    boxes = _xywh(np.concatenate([one.corners for one in wanted]), size)
    labels = np.concatenate([one.labels for one in wanted]) + 1
    images = np.repeat(np.arange(1, len(wanted) + 1), counts)
    annotations = [
        {
            "id": i + 1,
            "image_id": int(images[i]),
            "category_id": int(labels[i]),
            "bbox": box.tolist(),
            "area": float(box[2] * box[3]),
            "iscrowd": 0,
        }
        for i, box in enumerate(boxes)
    ]
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        truth = hotcoco.COCO(
            {
                "images": [
                    {"id": i + 1, "width": width, "height": height}
                    for i in range(len(wanted))
                ],
                "categories": [{"id": i + 1, "name": str(i)} for i in range(classes)],
                "annotations": annotations,
            }
        )
        image, place = np.nonzero(found["labels"][: len(wanted)] >= 0)
        rows = np.column_stack(
            [
                image + 1,
                _xywh(found["corners"][image, place], size),
                found["scores"][image, place],
                found["labels"][image, place] + 1,
            ]
        )
        if not len(rows):
            return {"ap50": 0.0, "ap75": 0.0, "ap": 0.0}
        evaluation = hotcoco.COCOeval(truth, truth.load_res(rows), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    results = evaluation.get_results()
    return {
        name: max(0.0, float(results[key]))
        for name, key in (("ap50", "AP50"), ("ap75", "AP75"), ("ap", "AP"))
    }


def _xywh(corners: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Boxes (N, 4) as COCO has them: left, top, width, height in pixels."""
    pixels = corners.astype(np.float64) * np.tile(size, 2)
    top, left, bottom, right = pixels.T
    return np.column_stack([left, top, right - left, bottom - top])
