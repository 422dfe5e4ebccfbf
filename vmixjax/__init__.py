"""VisualMixer in JAX: images that networks can train on and people cannot recognise.

The public names, with their types, stand in `__init__.pyi`, which is the table of
contents. They are loaded when first used, so that `vmixjax --help` need not wait
for JAX. Beside them, to be imported by name:

    vmixjax.optimizers  ST-Adam, as Optax has optimizers
    vmixjax.methods     how else images can be protected, to compare with
    vmixjax.attacks     what brings images back, or tells who is in them
    vmixjax.metrics     how much of an image came back
    vmixjax.networks    the small networks that attacks and audits train
    vmixjax.data        examples, codecs and formats of data sets
    vmixjax.scenes      images of a data set that show the same scene
    vmixjax.release     mixed data sets, fit to be handed out
    vmixjax.audit       is this private? attacks, measures and a verdict
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
