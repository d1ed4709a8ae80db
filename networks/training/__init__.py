"""Training: configuration and recipes, data on their way into the network, the run, its record."""

from networks.errors import TrainingError
from networks.training.config import Protect, TrainConfig
from networks.training.config_file import read_train_config
from networks.training.log import EpochLog
from networks.training.precision import uses_bfloat16
from networks.training.recipes import RECIPES, Recipe
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
    "uses_bfloat16",
]
