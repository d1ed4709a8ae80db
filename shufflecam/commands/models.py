"""``shufflecam models``: the networks there are."""

import json

import typer

from shufflecam.commands.options import Json


def models(as_json: Json = False) -> None:
    """List the architectures and the trained networks that come with the package.

    Example: shufflecam models
    """
    from networks import list_models, list_pretrained, model_card
    from shufflecam.console import print_table

    trained = {name: model_card(name) for name in list_pretrained()}
    if as_json:
        for name, card in trained.items():
            typer.echo(json.dumps({"name": name, **card}))
        return
    print_table(
        ("trained network", "architecture", "data", "test accuracy", "parameters"),
        [
            (name, card["model"], card["data"], f"{100 * card['test_accuracy']:.2f} %", f"{card['parameters']:,}")
            for name, card in trained.items()
        ],
    )
    typer.echo(f"\narchitectures of networks.build: {', '.join(list_models())}; `shufflecam train` trains airbench94")
