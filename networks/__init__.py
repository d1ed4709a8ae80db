"""Networks that read shuffled frames: architectures, conversion, training, evaluation, shipped weights."""

from networks.convert import convert
from networks.datasets import CIFAR10_CLASSES, DatasetError, LabelledImages, load_cifar10, locate_data
from networks.evaluation import KeyedEvaluation, accuracy, evaluate, image_tensor, predict
from networks.keyed import KeyedNetwork, PlanRow
from networks.pretrained import Pretrained, list_pretrained, load_network, load_pretrained, model_card, save_network
from networks.registry import build, list_models
from networks.rules import ConversionError
from networks.training import EpochLog, TrainConfig, train

__all__ = [
    "CIFAR10_CLASSES",
    "ConversionError",
    "DatasetError",
    "EpochLog",
    "KeyedEvaluation",
    "KeyedNetwork",
    "LabelledImages",
    "PlanRow",
    "Pretrained",
    "TrainConfig",
    "accuracy",
    "build",
    "convert",
    "evaluate",
    "image_tensor",
    "list_models",
    "list_pretrained",
    "load_cifar10",
    "load_network",
    "load_pretrained",
    "locate_data",
    "model_card",
    "predict",
    "save_network",
    "train",
]
