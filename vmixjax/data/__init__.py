"""Data sets: images and what belongs to them, read from and written to any format.

The public names, with their types, stand in `__init__.pyi`. They are loaded when first
used, so that the names of formats cost nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
