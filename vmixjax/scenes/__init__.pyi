from .descriptor import Descriptor as Descriptor
from .descriptor import describe as describe
from .descriptor import one_thread as one_thread
from .find import find_scenes as find_scenes
from .find import link as link
from .index import Index as Index
from .scene import Scene as Scene
from .scene import View as View
