from . import trainer as trainer
from .classifier import Classifier as Classifier
from .classifier import train_classifier as train_classifier
from .classifier import untrained_classifier as untrained_classifier
from .conv_net import ConvNet as ConvNet
from .dense_net import DenseNet as DenseNet
from .detector import Detector as Detector
from .detector import train_detector as train_detector
from .detector import untrained_detector as untrained_detector
from .federated_net import FederatedNet as FederatedNet
from .inputs import centred as centred
from .patch_discriminator import PatchDiscriminator as PatchDiscriminator
from .segmenter import Segmenter as Segmenter
from .segmenter import train_segmenter as train_segmenter
from .segmenter import untrained_segmenter as untrained_segmenter
from .small_cnn import SmallCNN as SmallCNN
from .trainer import init_params as init_params
from .trainer import learning_rate as learning_rate
from .unet import UNet as UNet

__all__ = [
    "Classifier",
    "ConvNet",
    "DenseNet",
    "Detector",
    "FederatedNet",
    "PatchDiscriminator",
    "Segmenter",
    "SmallCNN",
    "UNet",
    "centred",
    "init_params",
    "learning_rate",
    "train_classifier",
    "train_detector",
    "train_segmenter",
    "trainer",
    "untrained_classifier",
    "untrained_detector",
    "untrained_segmenter",
]
