"""What is said of places in images: boxes of objects and classes of pixels.

Targets, losses and answers of detectors and segmenters, in JAX with static shapes, and
the metrics that tests come to. The public names, with their types, stand in
`__init__.pyi`, and are loaded when first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
