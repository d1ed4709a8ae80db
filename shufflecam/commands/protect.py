"""``shufflecam protect``: pictures under any published protection."""

from pathlib import Path
from typing import Annotated, Any

import typer

from shufflecam.commands.options import OptionalKeyFile, OutFolder


def protect(
    inputs: Annotated[list[Path], typer.Argument(help="Pictures or folders of them.", metavar="IN...")],
    scheme_name: Annotated[str, typer.Option("--scheme", help="See `shufflecam schemes`.", metavar="NAME")],
    out: OutFolder,
    key: OptionalKeyFile = None,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", help="A parameter of the scheme; can be given again.", metavar="NAME=VALUE"),
    ] = None,
) -> None:
    """Protect pictures by a published scheme, for `shufflecam reveal` to undo where the scheme allows it.

    IN.jpg becomes DIR/IN.jpg.png, or DIR/IN.jpg.tif where values leave 16 bits; both hold nonce and parameters.

    Example: shufflecam protect photos/ --scheme etc --key door.key --param block=8 --out protected
    """
    from scrambler import Key, scheme
    from scrambler.errors import MissingKeyError
    from scrambler.schemes import NoisyScheme
    from shufflecam.commands.results import report
    from shufflecam.console import stderr, stdout
    from shufflecam.inputs import PICTURES, Input, expand, folder_of, for_each
    from shufflecam.protected_file import ending, save_protected
    from shufflecam.sources import read_picture

    parameters = dict(read_parameter(text) for text in param or [])
    secret = None if key is None else Key.load(key)
    protection = scheme(scheme_name, key=secret, **parameters)
    card = protection.card
    if card.keyed and secret is None:
        raise MissingKeyError(f"scheme {scheme_name!r} needs a key: give --key FILE, made by `shufflecam keygen`")
    if card.strength in ("weak", "broken"):
        stderr.print(f"scheme {scheme_name} is {card.strength}: {card.attacks}")
    items = expand(inputs, PICTURES, skip=out)
    guarantees: dict[str, int] = {}

    def work(item: Input) -> None:
        image = read_picture(item.path)
        protected = protection.protect(image)
        target = item.output(out, ending(protected.values))
        with folder_of(target):
            save_protected(target, protected, parameters)
        if isinstance(protection, NoisyScheme):
            said = str(protection.guarantee(image.shape, image.dtype))
            guarantees[said] = guarantees.get(said, 0) + 1

    failures = for_each(items, work, "protecting")
    for said, count in guarantees.items():
        stdout.print(f"{count} released with {said}")
    if guarantees and isinstance(protection, NoisyScheme):
        ledger = protection.ledger
        stdout.print(
            f"in all: epsilon {ledger.most_on_one_image:g} on the picture released most often, {ledger.total:g} if all "
            "pictures show one subject"
        )
    under = f" under key {secret.id}" if card.keyed and secret is not None else ""
    report(len(items), failures, f"pictures in {out}, protected by {scheme_name}{under}")


def read_parameter(text: str) -> tuple[str, Any]:
    """Return a parameter given as NAME=VALUE: a number, True, False, None or a tuple where it looks like one.

    Raises
    ------
    ShuffleCamError
        If there is no name or no equals sign.

    Examples
    --------
    >>> read_parameter("block=8"), read_parameter("unit=quad"), read_parameter("permute=false")
    (('block', 8), ('unit', 'quad'), ('permute', False))
    """
    from ast import literal_eval

    from scrambler.errors import ShuffleCamError

    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ShuffleCamError(f"--param wants NAME=VALUE, such as block=8, got {text!r}")
    if value.lower() in ("true", "false", "none"):
        value = value.capitalize()
    try:
        return name, literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value
