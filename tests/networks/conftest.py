"""Data for the network tests."""

from collections.abc import Iterator

import pytest
import torch

from networks import LabelledImages, load_cifar10
from networks.datasets import DatasetError


@pytest.fixture(scope="session")
def cifar10_test() -> LabelledImages:
    """CIFAR-10's test images."""
    try:
        return load_cifar10("test")
    except DatasetError as error:
        pytest.skip(str(error))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Thousands of tiny operations would otherwise each wait for the other threads of a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
