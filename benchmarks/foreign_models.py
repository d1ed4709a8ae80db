"""Which models of other libraries convert, and how exactly: torchvision and timm, where installed.

Run as ``python -m benchmarks.foreign_models [NAME]...``; prints a table and writes ``results/foreign_models.json``.
Weights are random and batch norms have seen a few random frames; answers are compared in float64, relative to the
largest, for two frames with a nonce each.
"""

import importlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.measure import RESULTS, print_table, write_report
from networks import ConversionError, convert
from scrambler import Key, keyed_permutation, new_nonces

SIZE = (64, 96)
# Models that take only one size.
SIZES = {"vit_b_16": (224, 224), "swin_t": (224, 224), "inception_v3": (299, 299), "maxvit_t": (224, 224)}
TORCHVISION = (
    "resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2", "densenet121", "mobilenet_v2", "mobilenet_v3_small",
    "efficientnet_b0", "efficientnet_v2_s", "convnext_tiny", "shufflenet_v2_x1_0", "mnasnet1_0", "googlenet",
    "inception_v3", "vit_b_16", "swin_t", "regnet_y_400mf", "regnet_x_400mf", "squeezenet1_1", "vgg11_bn", "alexnet",
)  # fmt: skip
SEGMENTATION = ("fcn_resnet50", "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large")
TIMM = (
    "resnet18", "resnetv2_50", "seresnet50", "skresnet18", "efficientnet_lite0", "mobilenetv3_small_050",
    "convnext_atto", "regnety_002", "repvgg_a0", "ghostnet_100", "hrnet_w18_small", "dla34", "vgg11_bn", "nfnet_l0",
    "poolformer_s12", "vit_tiny_patch16_224", "deit_tiny_patch16_224", "mixer_s32_224", "swin_tiny_patch4_window7_224",
    "edgenext_xx_small", "fastvit_t8", "tinynet_e", "xcit_nano_12_p8_224", "convmixer_768_32", "pit_ti_224",
)  # fmt: skip
ALLOWED = 1e-9


def candidates() -> Iterator[tuple[str, tuple[int, int], Callable[[], nn.Module]]]:
    """Give name, input size and builder of every model whose library is installed."""
    models = _installed("torchvision.models")
    for name in TORCHVISION if models else ():
        options = {"aux_logits": True} if name in ("googlenet", "inception_v3") else {}
        yield (
            f"torchvision/{name}",
            SIZES.get(name, SIZE),
            _builder(models, name, weights=None, num_classes=10, **options),
        )
    segmentation = _installed("torchvision.models.segmentation")
    for name in SEGMENTATION if segmentation else ():
        yield (
            f"torchvision/{name}", SIZE,
            _builder(segmentation, name, weights=None, weights_backbone=None, num_classes=4),
        )  # fmt: skip
    timm = _installed("timm")
    for name in TIMM if timm else ():
        size = (224, 224) if "224" in name else SIZE
        yield f"timm/{name}", size, _builder(timm, "create_model", name, num_classes=10)


def _installed(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        print(f"{name} is left out: {error}", file=sys.stderr)
        return None


def _versions() -> dict[str, str]:
    found = {name: sys.modules.get(name) for name in ("torch", "torchvision", "timm")}
    return {name: str(module.__version__) for name, module in found.items() if module is not None}


def _builder(module: Any, name: str, *arguments: Any, **options: Any) -> Callable[[], nn.Module]:
    return lambda: getattr(module, name)(*arguments, **options)


def shuffled(frames: Tensor, key: Key, nonces: list[bytes]) -> Tensor:
    """Return frames (B, C, H, W), each shuffled under its nonce."""
    size = (frames.shape[2], frames.shape[3])
    orders = [keyed_permutation(key, size, nonce=nonce) for nonce in nonces]
    return torch.stack([order.shuffle(frame) for order, frame in zip(orders, frames, strict=True)])


def leaves(answer: Any) -> list[Tensor]:
    """Return the tensors of an answer."""
    found: list[Tensor] = [leaf for leaf in torch.utils._pytree.tree_leaves(answer) if isinstance(leaf, Tensor)]
    return found


@torch.no_grad()
def try_model(build: Callable[[], nn.Module], size: tuple[int, int]) -> dict[str, object]:
    """Return what became of a model: whether it converts, under which keys, and how far its answers are off."""
    torch.manual_seed(0)
    model, key, nonces = build().double(), Key.generate(), new_nonces(2)
    frames = torch.rand(4, 3, *size, dtype=torch.float64)
    for parameter in model.parameters():
        # Heads and scales that start at zero would hide what comes before them.
        parameter.add_(0.02 * torch.randn_like(parameter))
    model.train()(frames)
    plain = model.eval()(frames[:2])
    reason = ""
    for keys in ("layer", "stem"):
        try:
            keyed = convert(model, key, size, keys=keys)
        except ConversionError as error:
            reason = reason or str(error)
            continue
        got = keyed(shuffled(frames[:2], key, nonces), nonce=nonces)
        if keyed.has_maps:
            got = keyed.unshuffle(got, nonces)
        apart = max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(leaves(got), leaves(plain), strict=True))
        exact = apart < ALLOWED
        return {
            "converts": keys,
            "exact": exact,
            "difference": apart,
            "keyed layers": len(keyed.plan),
            "reason": reason,
        }
    return {"converts": "no", "exact": False, "difference": float("nan"), "keyed layers": 0, "reason": reason}


def main(*names: str) -> None:
    rows: list[dict[str, object]] = []
    for name, size, build in candidates():
        if names and not any(wanted in name for wanted in names):
            continue
        row: dict[str, object] = {"model": name, "size": f"{size[0]}x{size[1]}"}
        try:
            row |= try_model(build, size)
        except Exception as error:  # what other libraries raise is not ours to foresee
            first = str(error).strip().splitlines()[:1]
            row |= {"converts": "failed", "exact": False, "difference": float("nan"), "keyed layers": 0}
            row["reason"] = f"{type(error).__name__}: {''.join(first)}"
        print(*row.values(), sep="  ", file=sys.stderr, flush=True)
        rows.append(row)
    if not rows:
        sys.exit("no model to try: install torchvision or timm")
    print_table("Models of other libraries", rows)
    if not names:
        write_report(
            RESULTS / "foreign_models.json", "Models of other libraries, converted", rows, versions=_versions()
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
