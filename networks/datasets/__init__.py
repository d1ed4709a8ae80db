"""Data sets as arrays, from the layouts they are found in."""

from networks.datasets.cifar10 import CIFAR10_CLASSES, load_cifar10
from networks.datasets.download import download_dataset
from networks.datasets.faces import load_faces
from networks.datasets.image_folder import load_image_folder
from networks.datasets.labelled import DatasetError, LabelledImages, locate_data
from networks.datasets.mnist import MNIST_CLASSES, load_mnist
from networks.datasets.segmentation import (
    CAMVID_CLASSES,
    CAMVID_VOID,
    SegmentedImages,
    load_camvid,
    load_mask_folder,
)

__all__ = [
    "CAMVID_CLASSES",
    "CAMVID_VOID",
    "CIFAR10_CLASSES",
    "MNIST_CLASSES",
    "DatasetError",
    "LabelledImages",
    "SegmentedImages",
    "download_dataset",
    "load_camvid",
    "load_cifar10",
    "load_faces",
    "load_image_folder",
    "load_mask_folder",
    "load_mnist",
    "locate_data",
]
