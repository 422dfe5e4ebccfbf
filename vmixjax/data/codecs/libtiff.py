"""libtiff, which Pillow decodes most TIFF files with, writes to the terminal itself.

It says there what it finds odd in a file, below all that Python can catch, and may
quote the file. For what cannot be read, Pillow raises an error all the same.
"""

import contextlib
import ctypes

from PIL import _imaging


def silence() -> None:
    """Makes libtiff say nothing, where it is found beside Pillow."""
    # Pillow has no function for it, but a library's own can be called by their names.
    with contextlib.suppress(AttributeError, OSError):
        library = ctypes.CDLL(_imaging.__file__)
        for handler in ("TIFFSetWarningHandler", "TIFFSetErrorHandler"):
            set_handler = getattr(library, handler)
            set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], None
            set_handler(None)
