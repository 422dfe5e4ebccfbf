"""The small network of the demo."""

from train.models.layers import ModelEntry
from vmixjax.networks import SmallCNN

ENTRIES = (ModelEntry("cnn", SmallCNN),)
