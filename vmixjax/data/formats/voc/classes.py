"""Which classes a VOC data set has: names that occur, or the twenty of Pascal VOC."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from vmixjax.data.bounded import read_bounded
from vmixjax.data.formats.voc.annotation import FLAGS, Annotation
from vmixjax.data.objects import Kind, Objects
from vmixjax.errors import RunError

PASCAL = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair"),
    *("cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant"),
    *("sheep", "sofa", "train", "tvmonitor"),
)
"""Classes of Pascal VOC in its own order, which is that of TFDS."""

CLASSES = "classes.txt"
"""A list of the classes, a line each. Pascal VOC has none, and goes by names; with one,
numbers are the same in a release as in its source, and so in one of fewer images."""

_MOST = 2**16
_MOST_BYTES = 2**23


def read_classes(root: Path) -> tuple[str, ...] | None:
    """Reads the classes of a data set that has a list of them; None for others.

    Raises:
      RunError: It is no such list.
    """
    path = root / CLASSES
    if not path.is_file():
        return None
    try:
        text = read_bounded(path, _MOST_BYTES, follow=True).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path} is no text in UTF-8; save it as such") from error
    names = [line.strip() for line in text.split("\n") if line.strip()]
    if len(names) > _MOST or len(set(names)) < len(names):
        raise RunError(
            f"{path} has a class twice, or more than {_MOST}; give each a line"
        )
    return tuple(names)


def render_classes(names: Sequence[str]) -> bytes:
    """Gives the list of classes of a release."""
    return "".join(f"{name}\n" for name in names).encode()


def find_objects(
    annotations: Iterable[Annotation], known: tuple[str, ...] | None
) -> Objects:
    """Finds the classes, and the flags, that objects have.

    Args:
      annotations: Those of all images.
      known: The classes, where there is a list of them.

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
    return Objects(_in_order(names) if known is None else known, others)


def _in_order(names: Collection[str]) -> tuple[str, ...]:
    return PASCAL if names and set(names) <= set(PASCAL) else tuple(sorted(names))
