from . import trainer as trainer
from .classifier import Classifier as Classifier
from .classifier import train_classifier as train_classifier
from .classifier import untrained_classifier as untrained_classifier
from .conv_net import ConvNet as ConvNet
from .federated_net import FederatedNet as FederatedNet
from .inputs import centred as centred
from .patch_discriminator import PatchDiscriminator as PatchDiscriminator
from .small_cnn import SmallCNN as SmallCNN
from .trainer import init_params as init_params
from .trainer import learning_rate as learning_rate
from .unet import UNet as UNet

__all__ = [
    "Classifier",
    "ConvNet",
    "FederatedNet",
    "PatchDiscriminator",
    "SmallCNN",
    "UNet",
    "centred",
    "init_params",
    "learning_rate",
    "train_classifier",
    "trainer",
    "untrained_classifier",
]
