# What to mix by.
from .config import MixConfig as MixConfig

# How much of the visual features is left: measured, and expected after mixing.
from .entropy import expected_vfe_map as expected_vfe_map
from .entropy import vfe as vfe
from .entropy import vfe_map as vfe_map

# Keys: from an owner's secret, one for each image.
from .keys import image_key as image_key
from .keys import key as key
from .keys import new_secret as new_secret

# Mix, restore, and the form that no key changes.
from .mixing import canonical as canonical
from .mixing import mix as mix
from .mixing import unmix as unmix

# Desired VFE -> plan.
from .planning import Plan as Plan
from .planning import full_plan as full_plan
from .planning import plan as plan
from .planning import target_vfe as target_vfe
from .planning import vfe_range as vfe_range

__all__ = [
    "MixConfig",
    "Plan",
    "canonical",
    "expected_vfe_map",
    "full_plan",
    "image_key",
    "key",
    "mix",
    "new_secret",
    "plan",
    "target_vfe",
    "unmix",
    "vfe",
    "vfe_map",
    "vfe_range",
]
