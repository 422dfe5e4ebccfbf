"""One form for all images of a data set, where its format has no more than one.

Form is channels and type. A grey image among coloured ones is repeated for each colour,
and is grey again once it is restored; no other image is changed.
"""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from vmixjax.data.example import Pixels, Source
from vmixjax.errors import ImageError

_COLOURED = 3
_AT_ONCE = 64
"""Images that are looked at together."""


def find_form(source: Source) -> Pixels | None:
    """Finds the form that the images of a source have in common; sizes may differ.

    It is that of the first image which can be read; if that is grey, that of the first
    coloured one of its type, if there is any.

    Args:
      source: Source that does not say so itself.

    Returns:
      The form; None where no image can be read.
    """
    first: Pixels | None = None
    for image in _images(source):
        form = Pixels((None, None, image.shape[2]), image.dtype)
        if first is None:
            first = form
        if first.shape[2] != 1:
            return first
        if form.shape[2] == _COLOURED and form.dtype == first.dtype:
            return form
    return first


def to_form(image: np.ndarray, pixels: Pixels | None, name: str) -> np.ndarray:
    """Brings an image to the form that all have.

    Args:
      image: Array (H, W, C).
      pixels: The form; None where there is none.
      name: Name of the image in complaints.

    Returns:
      The image itself, or (H, W, 3) where it is grey and the others are coloured.

    Raises:
      ImageError: It has another form.
    """
    if pixels is None:
        return image
    channels = pixels.shape[2]
    if image.dtype == pixels.dtype:
        if image.shape[2] == channels:
            return image
        if image.shape[2] == 1 and channels == _COLOURED:
            return np.repeat(image, _COLOURED, axis=2)
    raise ImageError(
        f"{name} has {image.shape[2]} channels of {image.dtype}, and all images of its "
        f"data set {channels} of {pixels.dtype}: save it like the others, or mix it to "
        f"a format without a common form, --format folder or webdataset"
    )


def is_formed(image: np.ndarray, channels: int) -> bool:
    """Tells whether `to_form` may have made an image (H, W, C) of so many channels."""
    if channels == image.shape[2]:
        return True
    return channels == 1 and bool((image == image[..., :1]).all())


def from_form(image: np.ndarray, channels: int) -> np.ndarray:
    """Gives back what `to_form` was given: an image of so many channels."""
    return image[..., :channels]


def _images(source: Source) -> Iterator[np.ndarray]:
    """All images that can be read, in their order; no more are read than it takes."""

    def read(place: tuple[str, int]) -> np.ndarray | None:
        try:
            return source.read(*place).image[:1, :1]
        except ImageError:
            return None

    places = (
        (split, index)
        for split, count in source.splits.items()
        for index in range(count)
    )
    with ThreadPoolExecutor() as threads:
        # The first alone: it is mostly enough.
        window = list(itertools.islice(places, 1))
        while window:
            yield from (
                image for image in threads.map(read, window) if image is not None
            )
            window = list(itertools.islice(places, _AT_ONCE))
