"""Convert your own model
======================

A network written here, with a residual join, reads shuffled frames after one call.
"""

# %%
# Any model of fixed-neighbourhood layers will do; this one has random weights.
import sys
from pathlib import Path

import matplotlib
import torch
from torch import nn

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from networks import convert
from scrambler import Key, keyed_permutation, new_nonces


class Small(nn.Module):
    """Two convolutions around a shortcut, a pool and a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.body = nn.Sequential(nn.Conv2d(16, 16, 5, padding=2), nn.BatchNorm2d(16), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits of RGB frames in [0, 1]."""
        x = self.stem(x).relu()
        logits: torch.Tensor = self.head(self.pool(x + self.body(x)).flatten(1))
        return logits


torch.manual_seed(0)
model = Small().eval()

# %%
# One call. What it did, layer by layer, is in the plan.
key = Key.generate()
keyed = convert(model, key, input_size=(48, 80))
print(keyed.plan)

# %%
# Eight frames, each shuffled under a nonce of its own: the answers are the plain ones.
frames = torch.rand(8, 3, 48, 80)
nonces = new_nonces(8)
shuffled = torch.stack(
    [keyed_permutation(key, (48, 80), nonce=n).shuffle(f) for f, n in zip(frames, nonces, strict=True)]
)
with torch.no_grad():
    plain, with_key, without = model(frames), keyed(shuffled, nonce=nonces), model(shuffled)
print(f"largest difference with the key: {(plain - with_key).abs().max():.1e}")

# %%
# Logits against the plain network's: with the key on the diagonal.
figure, axis = plt.subplots(figsize=(4.5, 4), layout="constrained")
axis.scatter(plain, without, s=12, label="without the key")
axis.scatter(plain, with_key, s=12, label="with the key")
axis.set_xlabel("logit, plain network on the plain frame")
axis.set_ylabel("logit on the shuffled frame")
axis.legend()
folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
figure.savefig(folder / "convert_your_model.png", dpi=110)
