"""The parts of the models, each against its definition."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from networks.adaptation import BlockConvolutions, EleAdaptation, permutation_penalty
from networks.airbench import AirBench96, whiten_from_images
from networks.autoencoder import SitAutoencoder
from networks.convmixer import ConvMixer
from networks.eigenfaces import EigenfaceMLP, fit_eigenfaces
from networks.shake_pyramid import ShakeDrop
from scrambler import scheme
from scrambler.errors import FrameError

pytestmark = pytest.mark.usefixtures("one_thread")


def test_shakedrop_scales_images_and_gradients_by_factors_of_their_own() -> None:
    torch.manual_seed(0)
    branch = torch.ones(4000, 2, 1, 3, requires_grad=True)
    out = ShakeDrop(0.75).train()(branch)
    out.sum().backward()
    forward, backward = out.detach().flatten(1), branch.grad.flatten(1)
    assert (forward == forward[:, :1]).all()
    assert (backward == backward[:, :1]).all()
    kept = forward[:, 0] == 1
    assert (backward[kept] == 1).all()
    # 4,000 draws at 0.75: one standard error is 0.0069. The rest is uniform, variances 1/3 and 1/12.
    assert abs(kept.double().mean() - 0.75) < 5 * 0.0069
    shaken, turned = forward[~kept, 0].double(), backward[~kept, 0].double()
    count = len(shaken)
    assert -1 <= shaken.min() < -0.9
    assert 0 <= turned.min() < 0.1
    assert abs(shaken.mean()) < 5 * (1 / 3 / count) ** 0.5
    assert abs(turned.mean() - 0.5) < 5 * (1 / 12 / count) ** 0.5
    assert abs(np.corrcoef(shaken, turned)[0, 1]) < 5 / count**0.5


def test_shakedrop_multiplies_by_its_probability_in_evaluation() -> None:
    branch = torch.arange(6.0).view(1, 2, 1, 3)
    assert torch.equal(ShakeDrop(0.75).eval()(branch), 0.75 * branch)


def test_permutations_are_not_penalised_and_mixtures_are() -> None:
    assert permutation_penalty(torch.eye(5)[torch.tensor([2, 0, 4, 1, 3])] * -3) == 0
    # Two entries of one in a row: 2 - sqrt 2; each column has one entry.
    assert permutation_penalty(torch.tensor([[1.0, 1.0], [0.0, 0.0]])).item() == pytest.approx(2 - 2**0.5)


@torch.no_grad()
def test_block_convolutions_are_convolutions_of_norm_one_each_on_its_own_block() -> None:
    torch.manual_seed(1)
    layer = BlockConvolutions(6).train()
    x = torch.rand(2, 3, 8, 12)
    for _ in range(200):
        layer(x)  # power iteration goes on
    out = layer.eval()(x)
    for block in range(6):
        top, left = 4 * (block // 3), 4 * (block % 3)
        largest = torch.linalg.svdvals(layer.weight[block])[0]
        kernel = layer.weight[block].view(256, 3, 4, 4) / largest
        expected = F.conv2d(x[:, :, top : top + 4, left : left + 4], kernel).flatten(1)
        torch.testing.assert_close(out[:, :, block], expected, rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_the_matrix_of_ele_moves_blocks_and_the_features_are_laid_out_again() -> None:
    torch.manual_seed(2)
    net = EleAdaptation(nn.Identity(), size=(8, 12)).eval()
    x = torch.rand(1, 3, 8, 12)
    order = torch.tensor([2, 0, 5, 1, 3, 4])
    net.matrix.copy_(torch.eye(6))
    still = net(x)
    net.matrix.copy_(torch.eye(6)[:, order])  # column j picks block order[j]
    moved = net(x)
    assert still.shape == (1, 16, 8, 12)
    for to, source in enumerate(order.tolist()):
        place, origin = ((4 * (n // 3), 4 * (n % 3)) for n in (to, source))
        torch.testing.assert_close(
            moved[:, :, place[0] : place[0] + 4, place[1] : place[1] + 4],
            still[:, :, origin[0] : origin[0] + 4, origin[1] : origin[1] + 4],
        )


def test_the_penalty_of_ele_is_the_papers_by_hand() -> None:
    net = EleAdaptation(nn.Identity(), size=(4, 8))
    with torch.no_grad():
        net.matrix.copy_(torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
    features = torch.zeros(2, 16, 4, 8)
    features[0, 0, 0, 0] = 3.0  # two edges of 3
    features[1, 5] = torch.rand(4, 8)  # not among the first three channels
    expected = 1e-3 * (2 - 2**0.5) / 4 + 0.1 * (6 / (3 * 8 * 16)) / 2
    assert net.penalty(features).item() == pytest.approx(expected, rel=1e-5)


@torch.no_grad()
def test_a_permutation_in_the_token_matrix_restores_the_order_of_patches() -> None:
    torch.manual_seed(3)
    plain = ConvMixer(5, width=8, depth=2, kernel=3, patch=4).eval()
    net = ConvMixer(5, width=8, depth=2, kernel=3, patch=4, tokens=6).eval()
    net.load_state_dict(plain.state_dict() | {"tokens.matrix.weight": torch.eye(6)})
    x, order = torch.rand(2, 3, 8, 12), torch.tensor([2, 0, 5, 1, 3, 4])
    torch.testing.assert_close(net(x), plain(x))
    patches = F.unfold(x, 4, stride=4)
    scrambled = F.fold(patches[:, :, order], (8, 12), 4, stride=4)
    assert not torch.allclose(net(scrambled), plain(x), atol=1e-4)
    net.tokens.matrix.weight.copy_(torch.eye(6)[order.argsort()])
    torch.testing.assert_close(net(scrambled), plain(x))


def test_the_96_percent_network_is_whitened_like_the_other() -> None:
    net = AirBench96()
    images = torch.rand(50, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    whiten_from_images(net, images)
    seen = F.conv2d(net.normalize(images), net.whiten.weight[:12]).transpose(0, 1).flatten(1).double()
    torch.testing.assert_close(seen @ seen.T / seen.shape[1], torch.eye(12).double(), rtol=0, atol=2e-2)


def test_the_loss_of_the_autoencoder_is_half_of_both_parts() -> None:
    net = SitAutoencoder(4).eval()
    x, labels = torch.rand(3, 3, 8, 12), torch.tensor([0, 3, 1])
    rebuilt, logits = net.rebuild(x).detach(), net(x).detach()
    squares = sum(float(((a - b) ** 2).sum()) for a, b in zip(rebuilt, x, strict=True)) / 3
    crossed = -sum(float(logits.log_softmax(1)[n, label]) for n, label in enumerate(labels.tolist())) / 3
    assert rebuilt.shape == x.shape
    loss = net.training_loss(x, lambda logits: F.cross_entropy(logits, labels))
    assert loss.item() == pytest.approx((squares + crossed) / 2, rel=1e-5)


@pytest.mark.parametrize("fitted", [False, True])
def test_eigenface_coefficients_are_those_of_the_scheme(fitted: bool) -> None:
    faces = np.random.default_rng(0).integers(0, 256, (30, 112, 92), dtype=np.uint8)
    net = EigenfaceMLP(5).eval()
    if fitted:
        fit_eigenfaces(net, faces)
    quiet = scheme("peep", output="indices", public=faces if fitted else None, epsilon=1e9, rng=1)
    expected = np.asarray(quiet.protect(faces[:4]))
    got = net.coefficients(torch.from_numpy(faces[:4, None] / 255).float()).numpy()
    np.testing.assert_allclose(got[:, : expected.shape[1]], expected, rtol=0, atol=2e-4)
    # 30 faces span 29 directions: the rest is empty and says so.
    assert expected.shape[1] == (29 if fitted else 64)
    assert (got[:, expected.shape[1] :] == 0).all()
    face = torch.rand(1, 1, 112, 92)
    torch.testing.assert_close(net(face), net.recognise(net.coefficients(face)))


def test_faces_of_another_size_are_refused() -> None:
    with pytest.raises(FrameError, match=r"faces must be two or more of shape \(112, 92\)"):
        fit_eigenfaces(EigenfaceMLP(), np.zeros((3, 92, 112), np.uint8))
