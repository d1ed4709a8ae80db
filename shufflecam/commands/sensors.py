"""``shufflecam sensors``: the sensors there are, and how to make one's own."""

import json
from pathlib import Path
from typing import Annotated

import typer

from shufflecam.commands.options import Json


def sensors(
    copy: Annotated[
        str | None, typer.Option("--copy", help="Write this preset to the file --out, to be edited.", metavar="NAME")
    ] = None,
    fit: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--fit", help="Fit a preset to folders of dark and flat frames.", metavar="DARKS FLATS"),
    ] = None,
    base: Annotated[
        str, typer.Option("--base", help="Preset with what frames do not tell: colours, well, circuit.")
    ] = "imx477",
    tukey: Annotated[bool, typer.Option("--tukey", help="Fit Tukey-lambda read noise, not Gaussian.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="The preset file to write.", metavar="FILE.toml")] = None,
    as_json: Json = False,
) -> None:
    """List the sensor presets; copy one to edit it; fit one to a camera's own frames.

    Every verb takes the file written here as --sensor. DARKS holds a folder for each exposure time, such as 1ms or
    2s, with 8 frames or more for the shortest; FLATS a folder for each level of even light, at the shortest of these
    exposures. Frames are RAW files, or grey PNG or TIFF files of codes.

    Example: shufflecam sensors --copy imx477 --out mine.toml
    """
    from shufflecam.usage import UsageError

    if (copy is None and fit is None) != (out is None):
        raise UsageError("--out names the file that --copy or --fit writes; give them together")
    if copy is not None and fit is not None:
        raise UsageError("--copy and --fit both write --out; give one of them")
    if out is not None and out.suffix != ".toml":
        raise UsageError(f"--out {out}: a sensor preset is a TOML file; let the name end in .toml")
    if out is None:
        _list(as_json=as_json)
    elif copy is not None:
        _copy(copy, out)
    elif fit is not None:
        _fit(*fit, base, out, tukey=tukey, as_json=as_json)


def _copy(name: str, out: Path) -> None:
    from sensor import copy_preset
    from shufflecam.console import stdout
    from shufflecam.inputs import folder_of

    with folder_of(out):
        copy_preset(name, out)
    stdout.print(f"wrote {out}: edit it, then use it with --sensor {out}", markup=False)


def _fit(darks: Path, flats: Path, base: str, out: Path, *, tukey: bool, as_json: bool) -> None:
    from dataclasses import asdict, replace
    from types import MappingProxyType

    from sensor import calibrate, calibration_stacks, sensor_preset
    from shufflecam.console import print_table, stderr
    from shufflecam.inputs import folder_of

    params = sensor_preset(base)
    dark, flat, told = calibration_stacks(darks, flats)
    found = calibrate(dark, flat, cfa=told.cfa or params.cfa)
    if told.cfa is not None and told.bit_depth is not None:
        height, width = told.codes.shape[1:]
        read = {"height_px": height, "width_px": width, "cfa": told.cfa, "bit_depth": told.bit_depth}
        origins = MappingProxyType({**params.provenance, **dict.fromkeys(read, "read from the frames' files")})
        params = replace(params, **read, provenance=origins)
    with folder_of(out):
        fitted = found.to_preset(out, params, read_noise_kind="tukey" if tukey else "gauss")
    if as_json:
        typer.echo(json.dumps(asdict(found)))
    else:
        print_table(
            ("figure", "fitted", "preset it began with"),
            [
                (name, f"{value:.5g}", f"{getattr(params, name):.5g}" if hasattr(params, name) else "-")
                for name, value in asdict(found).items()
            ],
            title=fitted.title,
        )
    stderr.print(f"wrote {out}: use it with --sensor {out}", markup=False)


def _list(*, as_json: bool) -> None:
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
