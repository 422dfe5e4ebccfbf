# Networks, one file each.
from .classifier import Classifier as Classifier
from .classifier import ConvNet as ConvNet
from .classifier import train_classifier as train_classifier
from .classifier import untrained_classifier as untrained_classifier

# How images become what they take.
from .inputs import centred as centred
from .small_cnn import SmallCNN as SmallCNN
from .training import init_params as init_params
from .unet import UNet as UNet

__all__ = [
    "Classifier",
    "ConvNet",
    "SmallCNN",
    "UNet",
    "centred",
    "init_params",
    "train_classifier",
    "untrained_classifier",
]
