"""Vision models of Hugging Face's transformers, which answer with objects, read shuffled frames."""

import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from networks import ConversionError, KeyedNetwork, convert
from scrambler import Key, keyed_permutation

os.environ.setdefault("HF_HUB_OFFLINE", "1")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

pytestmark = pytest.mark.usefixtures("one_thread")

KEY = Key.from_bytes(bytes(range(2, 34)))
NONCES = [bytes([n + 1] * 16) for n in range(3)]
SIZE, SQUARE = (32, 48), (32, 32)
LABELS = {"num_labels": 5}
TOKENS = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "patch_size": 8}
STAGES = {"hidden_sizes": [8, 12], "depths": [1, 1]}
PYRAMID = {
    "num_encoder_blocks": 2, "depths": [1, 1], "hidden_sizes": [8, 16], "patch_sizes": [7, 3], "strides": [4, 2],
    "num_attention_heads": [1, 2], "mlp_ratios": [2, 2],
}  # fmt: skip


def of(name: str, task: str = "ImageClassification", **settings: Any) -> Callable[[], nn.Module]:
    """Return the builder of a model with random weights."""
    config = getattr(transformers, f"{name}Config")
    return lambda: getattr(transformers, f"{name}For{task}")(config(**settings, **LABELS))


MODELS = {
    "ResNet": (of("ResNet", embedding_size=8, layer_type="bottleneck", hidden_sizes=[16, 24], depths=[1, 2]), SIZE),
    "ConvNext": (of("ConvNext", num_stages=2, **STAGES), SIZE),
    "ConvNextV2": (of("ConvNextV2", num_stages=2, **STAGES), SIZE),
    "MobileNetV2": (of("MobileNetV2", depth_multiplier=0.25), SIZE),
    "Segformer": (of("Segformer", "SemanticSegmentation", sr_ratios=[2, 1], decoder_hidden_size=8, **PYRAMID), SIZE),
    "ViT": (of("ViT", image_size=SIZE, **TOKENS), SIZE),
    "DeiT": (of("DeiT", image_size=SIZE, **TOKENS), SIZE),
    "Beit": (of("Beit", image_size=32, use_relative_position_bias=True, layer_scale_init_value=0.1, **TOKENS), SQUARE),
    "Dinov2": (of("Dinov2", image_size=32, mlp_ratio=2, **{**TOKENS, "intermediate_size": 32}), SIZE),
    "RegNet": (of("RegNet", embedding_size=8, groups_width=4, layer_type="y", **STAGES), SIZE),
    "PoolFormer": (of("PoolFormer", padding=[2, 1], **{**PYRAMID, "num_attention_heads": 1}), SIZE),
    "Levit": (of("Levit", image_size=64, hidden_sizes=[16, 24, 32], num_attention_heads=[1, 2, 2], depths=[1, 1, 1],
                 key_dim=[8, 8, 8]), (64, 64)),
    "FocalNet": (of("FocalNet", image_size=32, embed_dim=8, depths=[1, 1], focal_levels=[2, 2],
                    focal_windows=[3, 3]), SQUARE),
}  # fmt: skip
WINDOWED = {
    "Swin": (of("Swin", image_size=SIZE, embed_dim=8, depths=[2, 2], num_heads=[2, 2], window_size=4), SIZE),
    "MobileViT": (of("MobileViT", hidden_sizes=[8, 12, 16], neck_hidden_sizes=[4, 4, 6, 6, 8, 8, 12],
                     num_attention_heads=2), (64, 64)),
}  # fmt: skip


def made(build: Callable[[], nn.Module]) -> nn.Module:
    """Return a model in float64 whose statistics and scales are not the trivial ones."""
    torch.manual_seed(5)
    model = build().double().eval()
    with torch.no_grad():
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if tensor.is_floating_point():
                tensor.add_(0.05 * torch.rand_like(tensor) if "var" in name else 0.05 * torch.randn_like(tensor))
    return model


def shuffled(frames: Tensor) -> Tensor:
    orders = [keyed_permutation(KEY, frames[0, 0].numel(), nonce=nonce) for nonce in NONCES[: len(frames)]]
    return torch.stack(
        [f.flatten(1)[:, o.source.astype("int64")].view_as(f) for f, o in zip(frames, orders, strict=True)]
    )


def answers(keyed: KeyedNetwork, frames: Tensor) -> Any:
    out = keyed(shuffled(frames), nonce=NONCES)
    return keyed.unshuffle(out, NONCES) if keyed.has_maps else out


SLOW = ("MobileNetV2", "Levit", "Dinov2", "FocalNet", "DeiT")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in MODELS])
@torch.no_grad()
def test_a_model_answers_as_its_plain_twin(name: str) -> None:
    build, size = MODELS[name]
    model = made(build)
    keyed = convert(model, KEY, size)
    assert list(keyed.state_dict()) == list(model.state_dict())
    frames = torch.rand(3, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    plain, got = model(frames), answers(keyed, frames)
    assert type(got) is type(plain)
    scale = float(plain.logits.abs().max())
    torch.testing.assert_close(got.logits, plain.logits, rtol=0, atol=1e-11 * scale)
    assert torch.equal(got.logits.argmax(1), plain.logits.argmax(1))
    # LeViT keeps its biases in the type of its first answer until it trains again.
    single = answers(convert(model.float().train().eval(), KEY, size), frames.float())
    torch.testing.assert_close(single.logits.double(), plain.logits, rtol=0, atol=1e-5 * scale)


@pytest.mark.slow
@pytest.mark.parametrize("name", WINDOWED)
@torch.no_grad()
def test_attention_in_windows_needs_natural_order_behind_the_stem(name: str) -> None:
    build, size = WINDOWED[name]
    model = made(build)
    with pytest.raises(ConversionError, match=r"windows.*keys='stem'"):
        convert(model, KEY, size)
    keyed = convert(model, KEY, size, keys="stem")
    frames = torch.rand(3, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(answers(keyed, frames).logits, model(frames).logits)


def test_training_has_the_plain_gradients() -> None:
    build, size = MODELS["ResNet"]
    model = made(build)
    keyed = convert(model, KEY, size)
    frames = torch.rand(3, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for network, given in ((model, (frames,)), (keyed, (shuffled(frames), NONCES))):
        network.train()(*given).logits.square().sum().backward()
    gradients = dict(keyed.named_parameters())
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name].grad, parameter.grad, rtol=1e-9, atol=1e-9)
