"""``shufflecam schemes``: every published protection, and what it is worth."""

import json

import typer

from shufflecam.commands.options import Json


def schemes(as_json: Json = False) -> None:
    """List the published protections: what they do, what they hold against, and how networks use them.

    Example: shufflecam schemes --json
    """
    from dataclasses import asdict

    import networks  # noqa: F401 - it adds the learned schemes to the list
    from scrambler import list_schemes, scheme
    from shufflecam.console import print_table

    cards = [scheme(name).card for name in list_schemes()]
    if as_json:
        for card in cards:
            typer.echo(json.dumps(asdict(card)))
        return
    print_table(
        ("scheme", "strength", "reversible", "key bits", "really", "known attacks", "networks"),
        [
            (
                card.name, card.strength, "yes" if card.invertible else "no", card.key_bits, card.effective_key_bits,
                card.attacks, card.network,
            )
            for card in cards
        ],
    )  # fmt: skip
    typer.echo("\npaper, parameters, published accuracy and more of each: shufflecam schemes --json")
