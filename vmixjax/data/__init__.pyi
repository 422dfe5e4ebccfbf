"""The public names of `vmixjax.data`."""

from .codecs.images import CODECS as CODECS
from .codecs.images import RELEASED_CODECS as RELEASED_CODECS
from .codecs.images import decode_image as decode_image
from .codecs.images import read_image as read_image
from .codecs.png import encode_png as encode_png
from .codecs.png import write_png as write_png
from .example import Example as Example
from .example import Field as Field
from .example import Label as Label
from .example import Pixels as Pixels
from .example import Raw as Raw
from .example import Schema as Schema
from .example import Source as Source
from .example import Text as Text
from .files import find_files as find_files
from .formats import FORMATS as FORMATS
from .formats import format_of as format_of
from .formats import format_of_release as format_of_release
from .formats import open_source as open_source
from .formats.format import Format as Format
from .formats.format import SourceOptions as SourceOptions
from .pixels import eight_bits as eight_bits
from .pixels import pixels_digest as pixels_digest
from .pixels import square as square
from .pixels import without_alpha as without_alpha
from .writing import Sink as Sink
