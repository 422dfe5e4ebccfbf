"""For all tests: commands leave the cache folder of who runs them alone."""

import os

os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "0"
