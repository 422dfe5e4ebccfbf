"""Data sets as YOLO has them: images, and a text file of boxes for each."""

import os

from vmixjax.data.formats.format import Format
from vmixjax.data.formats.sidecars.sink import MOST_IMAGES
from vmixjax.data.formats.yolo.description import NAMES
from vmixjax.data.formats.yolo.reader import YoloSource, is_yolo
from vmixjax.data.formats.yolo.writer import YoloSink

FORMAT = Format(
    name="yolo",
    title="YOLO: image files, and a text file of boxes for each",
    open=YoloSource,
    create=YoloSink,
    recognises=is_yolo,
    is_release=lambda path: os.path.lexists(path / NAMES[0]),
    # A class that is added can change the numbers of others, in files that are as they
    # were: such a release is not brought up to date in place.
    has_order=True,
    in_splits=True,
    most_images=MOST_IMAGES,
)
