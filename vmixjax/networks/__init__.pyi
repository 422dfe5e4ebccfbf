# Networks, one file each.
# One that is trained to tell classes apart.
from .classifier import Classifier as Classifier
from .classifier import train_classifier as train_classifier
from .classifier import untrained_classifier as untrained_classifier
from .conv_net import ConvNet as ConvNet
from .federated_net import FederatedNet as FederatedNet

# How images become what they take.
from .inputs import centred as centred
from .patch_discriminator import PatchDiscriminator as PatchDiscriminator
from .small_cnn import SmallCNN as SmallCNN

# How they are trained.
from .trainer import fit as fit
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
    "fit",
    "init_params",
    "learning_rate",
    "train_classifier",
    "untrained_classifier",
]
