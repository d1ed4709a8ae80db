"""Data for the network tests."""

import pytest

from networks import LabelledImages, load_cifar10
from networks.datasets import DatasetError


@pytest.fixture(scope="session")
def cifar10_test() -> LabelledImages:
    """CIFAR-10's test images."""
    try:
        return load_cifar10("test")
    except DatasetError as error:
        pytest.skip(str(error))
