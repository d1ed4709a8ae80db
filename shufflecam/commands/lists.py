"""``shufflecam sensors`` and ``shufflecam models``: what there is."""

import json

import typer

from shufflecam.commands.options import Json


def sensors(as_json: Json = False) -> None:
    """List the sensor presets.

    Example: shufflecam sensors
    """
    from sensor import list_presets, sensor_preset
    from shufflecam.console import print_table

    presets = {name: sensor_preset(name) for name in list_presets()}
    rows = [
        {
            "name": name, "sensor": p.title, "width_px": p.width_px, "height_px": p.height_px, "cfa": p.cfa,
            "bit_depth": p.bit_depth, "gain_dn_per_e": p.gain_dn_per_e, "full_well_e": p.full_well_e,
            "read_noise_e": p.read_noise_e,
        }
        for name, p in presets.items()
    ]  # fmt: skip
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row))
        return
    print_table(
        ("name", "sensor", "pixels", "filter", "bits", "DN/e-", "full well e-", "read noise e-"),
        [
            (
                str(r["name"]), str(r["sensor"]), f"{r['width_px']} x {r['height_px']}", str(r["cfa"]),
                str(r["bit_depth"]), f"{r['gain_dn_per_e']:g}", f"{r['full_well_e']:g}", f"{r['read_noise_e']:g}",
            )
            for r in rows
        ],
    )  # fmt: skip


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
