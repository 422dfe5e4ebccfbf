"""Pascal VOC's XML of an image: what is taken of it, and how it is written.

Corners are pixels, counted from 1, and the last ones belong to their box. As TFDS does,
they are divided by the image's width and height as they are, so that whole numbers come
back as whole numbers.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from xml.parsers import expat
from xml.sax.saxutils import escape

import numpy as np

from vmixjax.data.formats.sidecars.numbers import parse_number, short
from vmixjax.data.objects import Boxes, Objects

FLAGS: Mapping[str, str] = {"difficult": "is_difficult", "truncated": "is_truncated"}
"""Elements of an object that are truths, and what TFDS calls them."""

_CORNERS = ("ymin", "xmin", "ymax", "xmax")
_SIZE: Mapping[str, Any] = {name: name for name in ("width", "height", "depth")}
_OBJECT: Mapping[str, Any] = {
    **{name: name for name in ("name", *FLAGS)},
    "bndbox": {name: name for name in _CORNERS},
}
_TREE: Mapping[str, Any] = {"annotation": {"size": _SIZE, "object": _OBJECT}}
"""Elements whose text is taken, and what they lie in: those of parts lie deeper."""

_TRUE, _FALSE = {"1", "true"}, {"0", "false", "unspecified", ""}

_DEEPEST, _MOST_TEXT, _MOST_SIDE = 32, 256, 2**31
_WHOLE, _ROUNDED = 1e-3, 2**-23
"""Pixels, and share of the image, from a whole number to what is written as it: some
roundings of float32, as where an image was padded."""


class Annotation(NamedTuple):
    """What an XML file says of an image.

    Attributes:
      width, height: Size of the image.
      objects: For each object the texts of its elements.
    """

    width: int
    height: int
    objects: Sequence[Mapping[str, str]]


class _Fault(ValueError):
    """What is wrong with a file, as a sentence goes on behind its name."""


class _Reader:
    """Takes what expat finds; nothing is expanded, and no other file read."""

    def __init__(self) -> None:
        # Where it is in the tree: None for what is passed over, a text for a leaf.
        self._place: Any = _TREE
        self._above: list[Any] = []
        self._text: list[str] = []
        self._object: dict[str, str] = {}
        self.size: dict[str, str] = {}
        self.objects: list[Mapping[str, str]] = []

    def read(self, data: bytes) -> None:
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        try:
            parser.Parse(data, True)
        except expat.ExpatError as error:
            what = expat.ErrorString(error.code)
            raise _Fault(f"is no XML in UTF-8 (line {error.lineno}: {what})") from error

    def _start(self, tag: str, attributes: Mapping[str, str]) -> None:
        del attributes
        place = self._place
        if isinstance(place, str):
            raise _Fault(f"has an element inside of <{place}>")
        self._above.append(place)
        self._place = place = None if place is None else place.get(tag)
        if len(self._above) == 1 and place is None:
            raise _Fault(f"begins with <{tag[:_MOST_TEXT]}>, not with <annotation>")
        if len(self._above) > _DEEPEST:
            raise _Fault(f"is nested more than {_DEEPEST} deep")
        if place is _OBJECT:
            self._object = {}
        self._text = []

    def _characters(self, text: str) -> None:
        if isinstance(self._place, str):
            self._text.append(text)

    def _end(self, tag: str) -> None:
        del tag
        place, self._place = self._place, self._above.pop()
        if place is _OBJECT:
            self.objects.append(self._object)
        if not isinstance(place, str):
            return
        text = "".join(self._text).strip()
        into = self.size if self._place is _SIZE else self._object
        if place in into:
            raise _Fault(f"has two <{place}> where there is one")
        if len(text) > _MOST_TEXT:
            raise _Fault(f"has {len(text)} letters in <{place}>")
        into[place] = text


def _refuse_doctype(*_: object) -> None:
    raise _Fault("has a DOCTYPE, which can pull in other files")


def parse(data: bytes) -> Annotation:
    """Parses the XML file of an image.

    Raises:
      ValueError: It is none; says why, as a sentence goes on behind its name.
    """
    reader = _Reader()
    reader.read(data)
    width, height = (_side(name, reader.size) for name in ("width", "height"))
    for number, one in enumerate(reader.objects):
        missing = [name for name in ("name", *_CORNERS) if not one.get(name)]
        if missing:
            raise _Fault(f"has object {number} without <{missing[0]}>")
    return Annotation(width, height, reader.objects)


def _side(name: str, size: Mapping[str, str]) -> int:
    if name not in size:
        raise _Fault(f"does not say the <{name}> of its image")
    side = _number(name, size[name])
    if not 1 <= side <= _MOST_SIDE or side != int(side):
        raise _Fault(f"says {short(size[name])} for the <{name}> of its image")
    return int(side)


def _number(name: str, text: str) -> float:
    try:
        return parse_number(text)
    except ValueError as error:
        raise _Fault(f"has a <{name}> that is none: {error}") from error


def boxes_of(annotation: Annotation, field: Objects) -> Boxes:
    """Gives the objects of an annotation.

    Args:
      annotation: The annotation.
      field: Names of the classes, and which flags are wanted.

    Raises:
      ValueError: As `parse`.
    """
    classes = {name: number for number, name in enumerate(field.names or ())}
    objects = annotation.objects
    sides = (annotation.height, annotation.width) * 2
    corners = [
        [
            _number(name, one[name]) / side
            for name, side in zip(_CORNERS, sides, strict=True)
        ]
        for one in objects
    ]
    for one in objects:
        if one["name"] not in classes:
            raise _Fault(f"has an object {short(one['name'])}, which is no class here")
    others = {
        FLAGS[tag]: np.array([_flag(tag, one.get(tag, "")) for one in objects], bool)
        for tag in FLAGS
        if (FLAGS[tag], "bool") in field.others
    }
    return Boxes(
        np.array(corners, np.float64).reshape(-1, 4).astype(np.float32),
        np.array([classes[one["name"]] for one in objects], np.int64),
        others,
    )


def _flag(tag: str, text: str) -> bool:
    word = text.casefold()
    if word not in _TRUE | _FALSE:
        raise _Fault(f"says {short(text)} for <{tag}>, which is 0 or 1")
    return word in _TRUE


def render(
    boxes: Boxes, names: Sequence[str], shape: Sequence[int], filename: str
) -> bytes:
    """Gives the XML file of an image.

    Args:
      boxes: Its objects.
      names: Names of the classes.
      shape: (H, W, C) of the image.
      filename: Name of the image file.
    """
    height, width, depth = shape
    text = (
        f"<annotation>\n"
        f"\t<filename>{escape(filename)}</filename>\n"
        f"\t<size>\n"
        f"\t\t<width>{width}</width>\n"
        f"\t\t<height>{height}</height>\n"
        f"\t\t<depth>{depth}</depth>\n"
        f"\t</size>\n"
        f"{render_objects(boxes, names, shape)}"
        f"</annotation>\n"
    )
    return text.encode()


def render_objects(boxes: Boxes, names: Sequence[str], shape: Sequence[int]) -> str:
    """Gives the elements of all objects: alike for boxes that are alike only."""
    return "".join(_object(boxes, number, names, shape) for number in range(len(boxes)))


def _object(
    boxes: Boxes, number: int, names: Sequence[str], shape: Sequence[int]
) -> str:
    ymin, xmin, ymax, xmax = boxes.corners[number]
    top, bottom = _pixels(ymin, ymax, shape[0])
    left, right = _pixels(xmin, xmax, shape[1])
    flags = "".join(
        f"\t\t<{tag}>{int(boxes.others[other][number])}</{tag}>\n"
        for tag, other in FLAGS.items()
        if other in boxes.others
    )
    return (
        f"\t<object>\n"
        f"\t\t<name>{escape(names[boxes.labels[number]])}</name>\n"
        f"{flags}"
        f"\t\t<bndbox>\n"
        f"\t\t\t<xmin>{left}</xmin>\n"
        f"\t\t\t<ymin>{top}</ymin>\n"
        f"\t\t\t<xmax>{right}</xmax>\n"
        f"\t\t\t<ymax>{bottom}</ymax>\n"
        f"\t\t</bndbox>\n"
        f"\t</object>\n"
    )


def _pixels(low: np.float32, high: np.float32, side: int) -> tuple[str, str]:
    """Gives both ends of a box, never so rounded that it has no area."""
    whole = min(_WHOLE, _ROUNDED * side)
    ends = _decimal(low, side, whole), _decimal(high, side, whole)
    if ends[0] == ends[1]:
        return _decimal(low, side, 0), _decimal(high, side, 0)
    return ends


def _decimal(share: np.float32, side: int, whole: float) -> str:
    """Gives a share in pixels, in as few digits as bring it back."""
    pixels = float(share) * side
    if abs(pixels - round(pixels)) <= whole:
        return str(round(pixels))
    for digits in range(1, 17):
        text = f"{pixels:.{digits}f}"
        if np.float32(float(text) / side) == share:
            break
    return text.rstrip("0").rstrip(".")
