"""Which classes a VOC data set has: names that occur, or the twenty of Pascal VOC."""

from collections.abc import Collection, Iterable

from vmixjax.data.formats.voc.annotation import FLAGS, Annotation
from vmixjax.data.objects import Kind, Objects
from vmixjax.errors import RunError

PASCAL = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair"),
    *("cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant"),
    *("sheep", "sofa", "train", "tvmonitor"),
)
"""Classes of Pascal VOC in its own order, which is that of TFDS."""

_MOST = 2**16


def find_objects(annotations: Iterable[Annotation]) -> Objects:
    """Finds the classes, and the flags, that objects have.

    Args:
      annotations: Those of all images.

    Raises:
      RunError: There are more classes than any data set has.
    """
    names: set[str] = set()
    flags: set[str] = set()
    for annotation in annotations:
        for one in annotation.objects:
            names.add(one["name"])
            flags.update(FLAGS.keys() & one.keys())
        if len(names) > _MOST:
            raise RunError(f"SRC has more than {_MOST} classes of objects")
    kind: Kind = "bool"
    others = tuple(sorted((FLAGS[flag], kind) for flag in flags))
    return Objects(_in_order(names), others)


def _in_order(names: Collection[str]) -> tuple[str, ...]:
    return PASCAL if names and set(names) <= set(PASCAL) else tuple(sorted(names))
