"""Fixtures of the operators' tests."""

import numpy as np
import pytest
import torch
from keyed_data import Draw


@pytest.fixture(autouse=True)
def one_thread():
    """Thousands of tiny operations would otherwise each wait for the other threads of a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def two_threads(one_thread):
    """Let the parallel kernels run."""
    torch.set_num_threads(2)


@pytest.fixture
def draw():
    return Draw(np.random.default_rng(20240517))
