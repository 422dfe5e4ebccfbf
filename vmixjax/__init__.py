"""VisualMixer in JAX: images that networks can train on and people cannot recognise.

The public names, with their types, stand in `__init__.pyi`, which is the table of
contents. They are loaded when first used, so that `vmixjax --help` need not wait
for JAX.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
