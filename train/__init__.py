"""The training application, run from a checkout: `python -m train`.

It may use `vmixjax`; nothing in `vmixjax` uses it.
"""
