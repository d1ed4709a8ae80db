"""The list of architectures: :func:`build` makes one by name."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from networks.adaptation import EleAdaptation, LeAdaptation, PixelwiseAdaptation
from networks.airbench import AirBench94, AirBench96
from networks.autoencoder import SitAutoencoder
from networks.convmixer import ConvMixer
from networks.cyclegan import CycleGAN
from networks.deeplab import LightDeepLab
from networks.eigenfaces import EigenfaceMLP
from networks.lenet import FiveConvolutions, LeNet5
from networks.preresnet import PreResNet
from networks.resnet import ResNet18
from networks.shake_pyramid import ShakePyramid
from networks.transformation_network import TransformationNetwork
from networks.unet import UNet
from networks.vgg import VGG
from scrambler.errors import ShuffleCamError


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """What the list knows of an architecture.

    Attributes
    ----------
    builder : callable
        Called with ``num_classes``; networks from pictures to pictures have none and are called with nothing.
    input_size : tuple of int
        Height and width it is usually trained at, in pixels.
    source : str
        Paper.
    channels : int
        Of its input: 3 for RGB, 1 for grey.
    num_classes : int or None
        The usual number; None for networks from pictures to pictures.
    """

    builder: Callable[..., nn.Module]
    input_size: tuple[int, int]
    source: str
    channels: int = 3
    num_classes: int | None = 10


_FRAME, _DIGIT, _STREET = (32, 32), (28, 28), (180, 240)
_JORDAN = "Jordan 2024, arXiv 2404.00498"
_VGG = "Simonyan & Zisserman 2015, arXiv 1409.1556"
_PRERESNET = "He and others 2016, arXiv 1603.05027"
_LE = "Tanaka 2018"
_ELE = "Madono and others 2020, arXiv 2001.07761"

_MODELS = {
    "airbench94": ModelEntry(builder=AirBench94, input_size=_FRAME, source=_JORDAN),
    "airbench94_half": ModelEntry(
        builder=partial(AirBench94, widths=(32, 128, 128)), input_size=_FRAME, source=f"{_JORDAN}, at half width"
    ),
    "airbench94_quarter": ModelEntry(
        builder=partial(AirBench94, widths=(16, 64, 64)),
        input_size=_FRAME,
        source=f"{_JORDAN}, at quarter width: the small trunk of benchmarks.table_c",
    ),
    "airbench96": ModelEntry(builder=AirBench96, input_size=_FRAME, source=_JORDAN),
    "vgg11_bn": ModelEntry(builder=partial(VGG, depth=11), input_size=_FRAME, source=_VGG),
    "vgg13_bn": ModelEntry(builder=partial(VGG, depth=13), input_size=_FRAME, source=_VGG),
    "vgg16_bn": ModelEntry(builder=partial(VGG, depth=16), input_size=_FRAME, source=_VGG),
    "vgg19_bn": ModelEntry(builder=partial(VGG, depth=19), input_size=_FRAME, source=_VGG),
    "preresnet20": ModelEntry(builder=PreResNet, input_size=_FRAME, source=_PRERESNET),
    "preresnet110": ModelEntry(builder=partial(PreResNet, blocks=18), input_size=_FRAME, source=_PRERESNET),
    "preresnet164": ModelEntry(
        builder=partial(PreResNet, blocks=18, bottleneck=True),
        input_size=_FRAME,
        source=f"{_PRERESNET}; the 1.70 M network of PrivDL, arXiv 2404.05828",
    ),
    "resnet18": ModelEntry(builder=ResNet18, input_size=_FRAME, source="He and others 2016, arXiv 1512.03385"),
    "convmixer_256_8": ModelEntry(
        builder=ConvMixer, input_size=_FRAME, source="Trockman & Kolter 2023, arXiv 2201.09792"
    ),
    "convmixer_512_16": ModelEntry(
        builder=partial(ConvMixer, width=512, depth=16, kernel=9, patch=16, tokens=196),
        input_size=(224, 224),
        source="Qi, AprilPyone & Kiya 2023, arXiv 2208.02556, with the adaptive permutation matrix",
    ),
    "le_shakepyramid": ModelEntry(
        builder=lambda classes: LeAdaptation(ShakePyramid(classes)), input_size=_FRAME, source=_LE
    ),
    "le_preresnet20": ModelEntry(
        builder=lambda classes: LeAdaptation(PreResNet(classes, channels=16)),
        input_size=_FRAME,
        source=f"{_LE}, with a small trunk of our own choice",
    ),
    "ele_shakepyramid": ModelEntry(
        builder=lambda classes: EleAdaptation(ShakePyramid(classes)), input_size=_FRAME, source=_ELE
    ),
    "ele_preresnet20": ModelEntry(
        builder=lambda classes: EleAdaptation(PreResNet(classes, channels=16)),
        input_size=_FRAME,
        source=f"{_ELE}, with a small trunk of our own choice",
    ),
    "pixelwise_resnet18": ModelEntry(
        builder=PixelwiseAdaptation, input_size=_FRAME, source="Sirichotedumrong and others 2019, arXiv 1905.01827"
    ),
    "sit_autoencoder": ModelEntry(builder=SitAutoencoder, input_size=_FRAME, source="Ma, Yao and others 2022"),
    "lenet5": ModelEntry(builder=LeNet5, input_size=_DIGIT, source="LeCun and others 1998", channels=1),
    "conv5": ModelEntry(
        builder=FiveConvolutions,
        input_size=_DIGIT,
        source="our reading of the digit network of Zhao and others 2023 (DLMT)",
        channels=1,
    ),
    "peep_mlp": ModelEntry(
        builder=EigenfaceMLP,
        input_size=(112, 92),
        source="Chamikara and others 2020, arXiv 2005.10486",
        channels=1,
        num_classes=40,
    ),
    "unet": ModelEntry(
        builder=UNet, input_size=_STREET, source="Ronneberger and others 2015, arXiv 1505.04597", num_classes=11
    ),
    "deeplab_light": ModelEntry(
        builder=LightDeepLab, input_size=_STREET, source="after Chen and others 2018, arXiv 1802.02611", num_classes=11
    ),
    "transformation_network": ModelEntry(
        builder=TransformationNetwork,
        input_size=_FRAME,
        source="Ito, Kinoshita & Kiya 2020, arXiv 2008.03143",
        num_classes=None,
    ),
    "cyclegan": ModelEntry(
        builder=CycleGAN,
        input_size=_FRAME,
        source="Sirichotedumrong & Kiya 2020, arXiv 2006.01342; Zhu and others 2017, arXiv 1703.10593",
        num_classes=None,
    ),
}


def list_models() -> list[str]:
    """Return the names that :func:`build` takes, sorted.

    >>> "vgg16_bn" in list_models()
    True
    """
    return sorted(_MODELS)


def model_entry(name: str) -> ModelEntry:
    """Return the list's entry for ``name``.

    Raises
    ------
    ShuffleCamError
        If there is no such architecture.
    """
    if name not in _MODELS:
        raise ShuffleCamError(f"there is no model called {name!r}; choose one of {', '.join(list_models())}")
    return _MODELS[name]


def build(name: str, num_classes: int | None = None, *, seed: int | None = None) -> nn.Module:
    """Return a freshly initialised network.

    Parameters
    ----------
    name : str
        One of :func:`list_models`.
    num_classes : int, optional
        Size of the output; default: the usual number, 10 for most. Networks from pictures to pictures take none.
    seed : int, optional
        Fixes the initial weights without touching torch's global generator; None draws from that generator.

    Returns
    -------
    torch.nn.Module
        Takes float images in [0, 1], shape (B, C, H, W) with C = 3 for RGB or 1 for grey as its entry says, and
        normalises inside. Returns logits (B, num_classes); for segmentation (B, num_classes, H, W); from pictures to
        pictures (B, 3, H, W) in [0, 1].

    Raises
    ------
    ShuffleCamError
        If there is no such architecture, or `num_classes` is none that it can have.

    Examples
    --------
    >>> sum(p.numel() for p in build("vgg16_bn", num_classes=10).parameters())
    33646666
    """
    builder = _builder(name, num_classes)
    if seed is None:
        return builder()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return builder()


def _builder(name: str, num_classes: int | None) -> Callable[[], nn.Module]:
    """Return what makes the network, without arguments."""
    entry = model_entry(name)
    if entry.num_classes is None:
        if num_classes is not None:
            raise ShuffleCamError(f"{name} gives pictures, not classes: leave num_classes out")
        return entry.builder
    classes = entry.num_classes if num_classes is None else num_classes
    if type(classes) is not int or classes < 1:
        raise ShuffleCamError(f"num_classes must be a whole number from 1 on, got {num_classes!r}")
    return partial(entry.builder, classes)
