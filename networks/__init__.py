"""Networks that read shuffled frames: architectures, conversion, training, evaluation, shipped weights."""

from networks.convert import convert
from networks.datasets import CIFAR10_CLASSES, DatasetError, LabelledImages, load_cifar10, locate_data
from networks.errors import ConversionError, LockedError
from networks.evaluation import KeyedEvaluation, accuracy, evaluate, image_tensor, predict
from networks.keyed import KeyedNetwork
from networks.onnx_network import OnnxNetwork, export_onnx
from networks.plan import Plan, PlanRow
from networks.pretrained import Pretrained, list_pretrained, load_network, load_pretrained, model_card, save_network
from networks.registry import build, list_models
from networks.training import EpochLog, TrainConfig, train

__all__ = [
    "CIFAR10_CLASSES",
    "ConversionError",
    "DatasetError",
    "EpochLog",
    "KeyedEvaluation",
    "KeyedNetwork",
    "LabelledImages",
    "LockedError",
    "OnnxNetwork",
    "Plan",
    "PlanRow",
    "Pretrained",
    "TrainConfig",
    "accuracy",
    "build",
    "convert",
    "evaluate",
    "export_onnx",
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
