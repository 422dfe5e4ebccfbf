"""Small networks, and their training: of the demo, the attacks and the audit.

The public names, with their types, stand in `__init__.pyi`, and are loaded when first
used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
