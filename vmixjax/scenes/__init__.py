"""Images of a data set that show the same scene: arrays in, groups out.

The public names, with their types, stand in `__init__.pyi`. They are loaded when first
used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
"""The public names of `vmixjax.scenes`."""
