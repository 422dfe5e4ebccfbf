"""Data sets as Pascal VOC has them: images, and an XML file of boxes for each."""

from vmixjax.data.formats.format import Format
from vmixjax.data.formats.sidecars.sink import MOST_IMAGES
from vmixjax.data.formats.voc.reader import VocSource, is_voc, is_voc_release
from vmixjax.data.formats.voc.writer import VocSink

FORMAT = Format(
    name="voc",
    title="Pascal VOC: image files, and an XML file of boxes for each",
    open=VocSource,
    create=VocSink,
    recognises=is_voc,
    is_release=is_voc_release,
    most_images=MOST_IMAGES,
)
