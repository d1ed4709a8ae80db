"""Training in several processes: every one takes its part of each batch, gradients and batch statistics are summed.

Started by ``torchrun``, which sets the environment; without it a run is a group of one. The result is that of one
process, up to the rounding of sums in another order.
"""

import os
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True)
class Workers:
    """The processes of a run, and which one this is."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def own(self, batch: Tensor) -> Tensor:
        """Return this process's part of a batch."""
        return batch[self.rank :: self.count]

    def sum(self, tensors: list[Tensor]) -> None:
        """Add up tensors over the processes, in place, in one message."""
        if self.count == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, part in zip(tensors, torch.split(flat, [t.numel() for t in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def total(self, own: Tensor) -> Tensor:
        """Return the sum of a tensor over the processes; gradients flow back to all of them."""
        return own if self.count == 1 else _summed(own)

    def wait(self) -> None:
        """Go on when all processes have come here."""
        if self.count > 1:
            dist.barrier()


def join_workers(device: torch.device) -> Workers:
    """Join the group that ``torchrun`` set up, or be a group of one."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Workers()
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return Workers(dist.get_rank(), count)


class _Total(torch.autograd.Function):
    """The sum of a tensor over all processes, and of its gradient."""

    @staticmethod
    def forward(_: Any, own: Tensor) -> Tensor:
        total = own.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return _Total.forward(_, gradient)


def _summed(own: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes; gradients flow back to all of them."""
    total: Tensor = _Total.apply(own)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return total


class GroupBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over the batches of all processes; torch's own synchronised one needs a GPU."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``x`` of shape (B, C, H, W)."""
        if not self.training:
            return super().forward(x)
        # The mean first: E[x^2] - mean^2 loses all digits of channels that hardly vary.
        values = x.float()
        size = _summed(torch.tensor(float(x.numel() // x.shape[1]), device=x.device))
        mean = _summed(values.sum((0, 2, 3))) / size
        values = values - mean.view(1, -1, 1, 1)
        variance = _summed((values * values).sum((0, 2, 3))) / size
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            keep = 1 - (self.momentum or 0.0)
            self.running_mean.mul_(keep).add_(mean * (1 - keep))
            self.running_var.mul_(keep).add_(variance * size / (size - 1) * (1 - keep))
            assert self.num_batches_tracked is not None
            self.num_batches_tracked += 1
        scale = torch.rsqrt(variance + self.eps)
        scale = scale if self.weight is None else scale * self.weight
        out = values * scale.view(1, -1, 1, 1)
        out = out if self.bias is None else out + self.bias.view(1, -1, 1, 1)
        return out.to(x.dtype)


def synchronise_batch_norms(model: nn.Module) -> None:
    """Replace every batch norm of a network by one over all processes; names and values stay."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.BatchNorm2d:
                synced = GroupBatchNorm2d(
                    child.num_features, child.eps, child.momentum, child.affine, child.track_running_stats
                ).to(child.running_mean.device if child.running_mean is not None else None)
                synced.load_state_dict(child.state_dict())
                for own, given in zip(synced.parameters(), child.parameters(), strict=True):
                    own.requires_grad_(given.requires_grad)
                setattr(parent, name, synced)
