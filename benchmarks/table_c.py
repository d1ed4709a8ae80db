"""Table C: every scheme with the same small trunk, trained on protected pictures, beside exact conversion.

Run ``python -m benchmarks.table_c``: CIFAR-10 for all of :func:`scrambler.list_schemes`, LE and ELE also behind their
adaptation networks, MNIST for DLMT and RMT, AT&T faces for the schemes with noise. The recipe is short on purpose, the
same for all rows of a data set and network; what counts is a row's gap to its ``plain``, trained alike.
"""

import argparse
from collections.abc import Mapping
from functools import partial
from typing import Any

from benchmarks.small_trunk import LEARNED, PUBLISHED, Study, plain_row, public_images, scheme_row
from benchmarks.tables import Figures, Row, Table, fill, parser_for
from networks import TrainConfig
from scrambler import list_schemes

TABLE = Table(
    stem="table_c",
    title="Table C: one small trunk trained on every scheme's pictures, accuracy in %",
    columns=(
        "with the key", "gap to plain", "another key", "plain network", "exact conversion", "other predictions",
        "training CPU s", "protect CPU ms an image", "network CPU ms an image", PUBLISHED,
    ),
    notes=(
        "With the key: the trunk trained on protected pictures, on test pictures protected under the same key. Another "
        "key: the same trunk, test pictures under a key it was not trained for. Plain network: the trunk trained on "
        "plain pictures, on protected ones: what whoever has no key and no protected training set can do.",
        "Gap to plain: points lost to the same trunk, recipe and images on plain pictures, the row \"plain\" of the "
        "data set and network. The recipes are short, so scores are lower than published ones and gaps tell.",
        "Exact conversion: the plain row's trunk, converted with the key, nothing trained; other predictions: test "
        "pictures on which it and the plain trunk differ. \"-\": the scheme is not affine in the values, or has noise.",
        "Schemes with a nonce an image draw a fresh one for every picture and epoch; their papers use one key for all, "
        "which learns better and hides less. Pictures are augmented, then protected; where noise is drawn, and by the "
        "learned schemes, they are protected once, then augmented.",
        "PEEP, public components: the first 20 people, components and their ranges fitted to the pictures of the other "
        "20. Its other rows use cosines, whose ranges hold any picture and leave the noise larger than the faces.",
        "Times are of the processor, summed over its threads.",
        "Published scores are of larger networks and whole trainings (the schemes' cards name the papers).",
    ),
)  # fmt: skip

# What differs from a scheme's default parameters, where the default is another data set's.
PARAMETERS: dict[str, dict[str, Any]] = {
    "cifar10/rmt": {"block": 2, "noise": 25, "permute": False},
    "cifar10/dp-pixelize": {"cell": 4},
    "mnist/rmt": {"block": 7, "noise": 100, "permute": True},
}
CIFAR10_PUBLISHED: dict[str, tuple[float, float]] = {  # score of the scheme, score on plain pictures
    "pixel-shuffle": (57.6, 94.1),
    "negative-positive": (85.15, 92.98),
    "negative-positive+color": (82.51, 92.98),
    "shf": (91.84, 95.45),
    "bit-flip": (93.41, 95.45),
    "ffx": (92.30, 95.45),
    "le": (85.84, 92.98),
    "mat": (91.361, 95.220),
    "mmt": (91.090, 95.220),
    "rise-mmt": (90.166, 95.220),
    "mat-mmt": (89.062, 95.220),
    "mmt-mat": (88.933, 95.220),
    "rmt": (89.3, 93.4),
}
# Without a plain score beside them.
CIFAR10_ALONE = {"etc": 89.09, "ele": 83.06, "sit": 80.36}
MNIST_PUBLISHED = {
    "mat": (99.205, 99.440),
    "mmt": (99.202, 99.440),
    "rise-mmt": (99.018, 99.440),
    "mat-mmt": (98.944, 99.440),
    "mmt-mat": (98.952, 99.440),
    "rmt": (96.6, 96.7),
    "block-aes": (91.6, 96.7),
}
# Name of the row, scheme, parameters, what was published.
FACES: dict[str, tuple[str, dict[str, Any], str]] = {
    f"dp-pixelize, epsilon {epsilon:g}": ("dp-pixelize", {"epsilon": epsilon}, f"{score}, {96.25 - score:.2f}")
    for epsilon, score in ((0.1, 3.75), (0.3, 18.75), (0.5, 43.75), (1.0, 77.50))
}
_PER_COEFFICIENT = {"epsilon": 8.0, "composition": "per_index"}
PEEP: dict[str, tuple[dict[str, Any], str]] = {
    "peep, epsilon 8 in all": ({"epsilon": 8.0}, "-"),
    "peep, epsilon 8 a coefficient": (_PER_COEFFICIENT, "about 70 to 90, -"),
}
# The networks that stand before the trunk in the papers of LE and ELE, this project's small trunk behind them.
ADAPTATION = {"le": "le_preresnet20", "ele": "ele_preresnet20"}


def rows_of(options: argparse.Namespace) -> list[Row]:
    """Return all rows."""
    cifar10 = Study(
        TrainConfig(model="airbench94_quarter", images=options.images, epochs=options.epochs, batch_size=100),
        options.test_images,
        learned_epochs=max(1, options.epochs // 2),
    )
    mnist = Study(TrainConfig(model="conv5", epochs=options.digit_epochs, batch_size=256), 10_000)
    conv5 = TrainConfig(
        model="conv5", data="faces", recipe="digits", epochs=options.face_epochs, batch_size=40, translation_px=4,
        flips=True,
    )  # fmt: skip
    faces = Study(conv5, 200)
    perceptron = TrainConfig(
        model="peep_mlp", recipe="digits", epochs=options.face_epochs, batch_size=40, translation_px=0
    )
    peep = Study(perceptron, 200)
    half = Study(perceptron, 100, people=20)
    rows = [
        _plain("cifar10", cifar10, "-"),
        *(_scheme(cifar10, f"cifar10: {name}", name, PARAMETERS.get(f"cifar10/{name}", {})) for name in list_schemes()),
    ]
    for name, model in ADAPTATION.items():
        config = TrainConfig(
            model=model, recipe="digits", flips=True, images=options.adaptation_images, epochs=options.epochs,
            batch_size=100,
        )  # fmt: skip
        study = Study(config, options.test_images)
        rows += [_plain(f"cifar10, {model}", study, "-"), _scheme(study, f"cifar10, {model}: {name}", name, {})]
    rows.append(_plain("mnist", mnist, "99.44 (DLMT)"))
    for name in MNIST_PUBLISHED:
        rows.append(_scheme(mnist, f"mnist: {name}", name, PARAMETERS.get(f"mnist/{name}", {})))
    rows.append(_plain("faces", faces, "96.25 (mosaic, no noise)"))
    for label, (name, parameters, published) in FACES.items():
        rows.append(_scheme(faces, f"faces: {label}", name, parameters, published))
    rows.append(_plain("faces, peep_mlp", peep, "-"))
    for label, (parameters, published) in PEEP.items():
        rows.append(_scheme(peep, f"faces, peep_mlp: {label}", "peep", parameters, published))
    rows.append(_plain("faces, peep_mlp, 20 people", half, "-"))

    def public_components() -> Figures:
        parameters = _PER_COEFFICIENT | {"public": public_images(half)}
        return scheme_row(half, "peep", parameters, "about 70 to 90, -")

    settings = half.settings | _PER_COEFFICIENT | {"public": "the other 20 people"}
    label = "faces, peep_mlp, 20 people: peep, epsilon 8 a coefficient, public components"
    return [*rows, Row(name=label, run=public_components, settings=settings)]


def _plain(label: str, study: Study, published: str) -> Row:
    return Row(name=f"{label}: plain", run=partial(plain_row, study, published), settings=study.settings)


def _scheme(study: Study, label: str, name: str, parameters: Mapping[str, Any], published: str | None = None) -> Row:
    if published is None:
        on_digits = label.startswith("mnist")
        known, alone = (MNIST_PUBLISHED, {}) if on_digits else (CIFAR10_PUBLISHED, CIFAR10_ALONE)
        published = f"{alone[name]:g}, -" if name in alone else "-"
        if name in known:
            score, of_plain = known[name]
            published = f"{score:g}, {of_plain - score:.2f}"
    run = partial(scheme_row, study, name, parameters, published)
    settings = study.settings | dict(parameters)
    if name in LEARNED:
        settings["epochs of the scheme itself"] = study.learned_epochs
    return Row(name=label, run=run, settings=settings)


def effort(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add how much is trained and tested."""
    parser.add_argument("--images", type=int, default=5000, help="training images of CIFAR-10")
    parser.add_argument("--adaptation-images", type=int, default=5000, help="the same, behind adaptation networks")
    parser.add_argument("--epochs", type=int, default=6, help="of CIFAR-10")
    parser.add_argument("--digit-epochs", type=int, default=4, help="of MNIST, all 60,000")
    parser.add_argument("--face-epochs", type=int, default=60, help="of the faces")
    parser.add_argument("--test-images", type=int, default=1000, help="of CIFAR-10")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Run the rows that are missing."""
    options = effort(parser_for(__doc__)).parse_args(argv)
    fill(TABLE, rows_of(options), options)


if __name__ == "__main__":
    main()
