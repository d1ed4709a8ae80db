"""Networks that read shuffled frames: architectures, conversion, training, evaluation, shipped weights."""

from networks.channel_keys import channel_permutation
from networks.convert import convert
from networks.datasets import (
    CAMVID_CLASSES,
    CAMVID_VOID,
    CIFAR10_CLASSES,
    MNIST_CLASSES,
    DatasetError,
    LabelledImages,
    SegmentedImages,
    download_dataset,
    load_camvid,
    load_cifar10,
    load_faces,
    load_image_folder,
    load_mask_folder,
    load_mnist,
    locate_data,
)
from networks.errors import ConversionError, LockedError
from networks.evaluation import (
    KeyedEvaluation,
    SegmentationEvaluation,
    accuracy,
    evaluate,
    evaluate_segmentation,
    image_tensor,
    predict,
)
from networks.keyed import KeyedNetwork
from networks.learned_run import LearnedNetworks, LearnedRecipe
from networks.learned_training import train_gan, train_transform_net
from networks.onnx_network import OnnxNetwork, export_onnx
from networks.plan import Plan, PlanRow
from networks.pretrained import Pretrained, list_pretrained, load_network, load_pretrained, model_card, save_network
from networks.registry import build, list_models
from networks.training import RECIPES, EpochLog, Protect, Recipe, TrainConfig, read_train_config, train

__all__ = [
    "CAMVID_CLASSES",
    "CAMVID_VOID",
    "CIFAR10_CLASSES",
    "MNIST_CLASSES",
    "RECIPES",
    "ConversionError",
    "DatasetError",
    "EpochLog",
    "KeyedEvaluation",
    "KeyedNetwork",
    "LabelledImages",
    "LearnedNetworks",
    "LearnedRecipe",
    "LockedError",
    "OnnxNetwork",
    "Plan",
    "PlanRow",
    "Pretrained",
    "Protect",
    "Recipe",
    "SegmentationEvaluation",
    "SegmentedImages",
    "TrainConfig",
    "accuracy",
    "build",
    "channel_permutation",
    "convert",
    "download_dataset",
    "evaluate",
    "evaluate_segmentation",
    "export_onnx",
    "image_tensor",
    "list_models",
    "list_pretrained",
    "load_camvid",
    "load_cifar10",
    "load_faces",
    "load_image_folder",
    "load_mask_folder",
    "load_mnist",
    "load_network",
    "load_pretrained",
    "locate_data",
    "model_card",
    "predict",
    "read_train_config",
    "save_network",
    "train",
    "train_gan",
    "train_transform_net",
]
