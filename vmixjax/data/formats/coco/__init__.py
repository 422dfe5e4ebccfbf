"""COCO: images, and JSON that says which objects are where in them."""

from vmixjax.data.formats.coco.finding import is_coco, is_release
from vmixjax.data.formats.coco.reader import CocoSource
from vmixjax.data.formats.coco.writer import CocoSink
from vmixjax.data.formats.format import Format

_MOST_IMAGES = 2**14
"""Files to a shard: their names are noted together."""

FORMAT = Format(
    name="coco",
    title="images, and COCO's JSON of the objects in them",
    open=CocoSource,
    create=CocoSink,
    recognises=is_coco,
    is_release=is_release,
    in_splits=True,
    most_images=_MOST_IMAGES,
)
