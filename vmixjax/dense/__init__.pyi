"""The public names of `vmixjax.dense`."""

from . import boxes as boxes
from . import centres as centres
from . import masks as masks
from .coco_metrics import HOTCOCO as HOTCOCO
from .coco_metrics import average_precision as average_precision

__all__ = ["HOTCOCO", "average_precision", "boxes", "centres", "masks"]
