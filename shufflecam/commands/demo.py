"""``shufflecam demo``: from capture to label on one picture."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shufflecam.commands.options import Model, Sensor, camera_seed

if TYPE_CHECKING:
    from scrambler import Key
    from sensor import RawFrame
    from shufflecam.chain import Labeller


def demo(
    picture: Annotated[
        Path | None, typer.Argument(help="A picture or RAW file; default: a horse that comes with scikit-image.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the DNG and the figure.")] = Path("shufflecam-demo"),
    sensor: Sensor = "imx477",
    model: Model = "cifar10-airbench94",
    wrong_keys: Annotated[
        int, typer.Option("--wrong-keys", help="Also count the labels that so many wrong keys give.", min=0)
    ] = 0,
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Fix the sensor's noise; the key is fresh all the same.", min=0, max=(1 << 64) - 1),
    ] = None,
) -> None:
    """Capture a picture with a shuffling sensor, label it with and without the key, and draw what each party sees.

    The key is made for this run and not kept.

    Example: shufflecam demo --wrong-keys 100
    """
    from scrambler import Key, Multiplexer
    from sensor import Camera, develop
    from shufflecam.chain import Labeller, seen_without_key
    from shufflecam.console import print_table, stdout
    from shufflecam.figures import write_figure
    from shufflecam.inputs import folder_of, named
    from shufflecam.sources import natural_frame, read_frame

    source = picture or _bundled_horse()
    dng, figure = out / f"{source.name}.dng", out / f"{source.name}.png"
    labeller = Labeller.load(model)
    key, wrong, camera = Key.generate(), Key.generate(), Camera(sensor, seed=camera_seed(seed))
    with named(source):
        captured = natural_frame(source, camera).shuffle(Multiplexer(key))
        with folder_of(dng):
            captured.save(dng)

    # From here on only the file is used, as a receiver would.
    frame = read_frame(dng)
    natural = frame.unshuffle(key)
    answers = {
        "plain": ("natural order", labeller.label(natural)),
        "with the key": ("shuffled", labeller.label(frame, key)),
        "without a key": ("shuffled", labeller.label_as_natural(frame)),
        "wrong key": ("shuffled, refusal overridden", labeller.label(frame, wrong, force=True)),
    }
    panels = [
        (f"plain: {answers['plain'][1].name}", develop(natural)),
        (f"shuffled RAW: {answers['without a key'][1].name}", develop(seen_without_key(frame))),
        (f"with the key: {answers['with the key'][1].name}", develop(frame, key)),
        (f"wrong key: {answers['wrong key'][1].name}", develop(frame, wrong, force=True)),
    ]
    write_figure(figure, [panels[:2], panels[2:]])

    print_table(
        ("network", "frame", "label", "probability"),
        [(name, order, answer.name, f"{answer.probability:.3f}") for name, (order, answer) in answers.items()],
    )
    height, width = frame.mosaic.shape
    stdout.print(f"\n{source.name}: {height} x {width} photosites of {frame.sensor}, key {key.id} (not kept)")
    stdout.print(f"wrote {dng} and {figure}")
    if wrong_keys:
        _count_wrong_keys(labeller, frame, key, wrong_keys)


def _bundled_horse() -> Path:
    """Return the silhouette of a horse that scikit-image installs."""
    import skimage.data

    # Not the cat it has too: the network calls noise of a cat's colours a cat, key or no key.
    return Path(skimage.data.__file__).with_name("horse.png")


def _count_wrong_keys(labeller: "Labeller", frame: "RawFrame", key: "Key", count: int) -> None:
    """Print which labels ``count`` fresh wrong keys give, beside what the plain network says of as many shuffles."""
    from rich.progress import track

    from shufflecam.console import print_table, stderr
    from shufflecam.wrong_keys import count_wrong_key_labels

    rounds = track(range(count), description="wrong keys", console=stderr, disable=not stderr.is_terminal)
    labels = count_wrong_key_labels(labeller, frame, key, rounds)
    both = labels.wrong_keys + labels.no_key
    print_table(
        ("label", "wrong keys", "plain network, no key"),
        [
            (
                name + (" (right)" if name == labels.right else ""),
                str(labels.wrong_keys[name]),
                str(labels.no_key[name]),
            )
            for name, _ in both.most_common()
        ],
        title=f"\nlabels of {count} wrong keys, and of the plain network on {count} shuffles",
    )
    hits, chance = labels.wrong_keys[labels.right], labels.no_key[labels.right]
    typer.echo(f"right label: {hits} of {count} with wrong keys, {chance} of {count} without a key")
