"""Training: configuration and recipes, data on their way into the network, the run, its record."""

from networks.training.config import RECIPES, Protect, Recipe, TrainConfig, TrainingError, read_train_config
from networks.training.log import EpochLog
from networks.training.run import train
from networks.training.samples import load_data, load_test_data

__all__ = [
    "RECIPES",
    "EpochLog",
    "Protect",
    "Recipe",
    "TrainConfig",
    "TrainingError",
    "load_data",
    "load_test_data",
    "read_train_config",
    "train",
]
