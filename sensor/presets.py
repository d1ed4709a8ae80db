"""Sensors as data files that users can read, copy and edit.

A preset is a TOML file: ``name`` and ``title``, then one table per figure with its ``value`` and either ``source``
(where it was published) or ``assumed`` (why this value, when nobody published it). The value of ``spectral_qe`` is a
table of lists, ``wavelength_nm`` and a curve for each colour, or the name of a file of such columns beside the preset.
"""

import tomllib
from dataclasses import MISSING, fields
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_type_hints

from sensor.errors import PresetError
from sensor.params import SensorParams
from sensor.preset_file import toml_value, write_toml
from sensor.spectral_qe import SpectralQe

_MAX_BYTES = 1 << 20


def list_presets() -> list[str]:
    """Return the names of the sensors that come with the package, sorted.

    Examples
    --------
    >>> "imx477" in list_presets()
    True
    """
    return sorted(
        item.name[:-5] for item in files("sensor").joinpath("presets").iterdir() if item.name.endswith(".toml")
    )


def sensor_preset(name_or_path: str | Path) -> SensorParams:
    """Return a sensor by name, or from a user's own TOML file.

    Parameters
    ----------
    name_or_path : str or Path
        One of :func:`list_presets`, or a path that ends in ``.toml``.

    Raises
    ------
    PresetError
        When there is no such sensor, or its file lacks a figure or holds a wrong one.

    Examples
    --------
    >>> sensor_preset("imx477").bit_depth
    12
    """
    text = str(name_or_path)
    if not text.endswith(".toml"):
        known = list_presets()
        if text not in known:
            raise PresetError(
                f"there is no sensor preset {text!r}; choose one of {', '.join(known)}, or give a .toml file"
            )
        return _parse(_shipped(text), text)
    try:
        path = Path(text)
        if path.stat().st_size > _MAX_BYTES:
            raise PresetError(f"{text}: a sensor preset is a small text file, this one is over 1 MB")
        return _parse(path.read_text("utf-8"), text)
    except OSError as error:
        raise PresetError(f"{text}: cannot read the sensor preset ({error.strerror})") from None
    except UnicodeDecodeError:
        raise PresetError(f"{text}: a sensor preset is UTF-8 text, this file is not") from None


def copy_preset(name: str, path: str | Path) -> None:
    """Write a copy of a sensor that comes with the package, to be edited; its name becomes that of the file.

    Parameters
    ----------
    name : str
        One of :func:`list_presets`.
    path : str or Path
        Ends in ``.toml``; must not exist yet.

    Raises
    ------
    PresetError
        For another name or ending, and when the file exists or cannot be written.
    """
    where = Path(path)
    if name not in list_presets():
        raise PresetError(f"there is no sensor preset {name!r}; choose one of {', '.join(list_presets())}")
    if where.exists():
        raise PresetError(f"{path}: the file exists already; give another name, so that no edits are lost")
    text = _shipped(name).replace(f'name = "{name}"', f"name = {toml_value(where.stem)}", 1)
    write_toml(where, text)


def _shipped(name: str) -> str:
    return files("sensor").joinpath("presets", f"{name}.toml").read_text("utf-8")


def _parse(text: str, where: str) -> SensorParams:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PresetError(f"{where}: not valid TOML ({error})") from None
    wanted = {field.name: field for field in fields(SensorParams) if field.name != "provenance"}
    if unknown := sorted(set(content) - set(wanted)):
        raise PresetError(f"{where}: {unknown[0]!r} is not a figure of a sensor; known are {', '.join(wanted)}")
    missing = [name for name, field in wanted.items() if field.default is MISSING and name not in content]
    if missing:
        raise PresetError(f"{where}: {missing[0]!r} is missing")
    values: dict[str, Any] = {}
    provenance: dict[str, str] = {}
    kinds = get_type_hints(SensorParams)
    for name, entry in content.items():
        if name in ("name", "title"):
            values[name] = entry
        else:
            values[name], provenance[name] = _figure(where, name, entry)
        kind = kinds[name]
        if kind in (str, bool, int) and type(values[name]) is not kind:
            raise PresetError(f"{where}: {name} must be of type {kind.__name__}, not {values[name]!r}")
    return SensorParams(**values, provenance=MappingProxyType(provenance))


def _figure(where: str, name: str, entry: object) -> tuple[Any, str]:
    """Return value and provenance of one table."""
    if not isinstance(entry, dict) or "value" not in entry or set(entry) - {"value", "source", "assumed"}:
        raise PresetError(f"{where}: {name} must be a table with 'value' and either 'source' or 'assumed'")
    origins = [key for key in ("source", "assumed") if isinstance(entry.get(key), str) and entry[key].strip()]
    if len(origins) != 1:
        raise PresetError(f"{where}: {name} must say either 'source' or 'assumed', in words")
    value = entry["value"]
    if name == "color_matrix" and isinstance(value, list):
        value = tuple(tuple(row) if isinstance(row, list) else row for row in value)
    elif name == "white_balance" and isinstance(value, list):
        value = tuple(value)
    elif name == "spectral_qe":
        value = _curves(where, value)
    return value, entry["source"] if origins == ["source"] else f"assumed: {entry['assumed']}"


def _curves(where: str, value: object) -> SpectralQe:
    """Return the curves that a preset holds, or that lie in a file beside it."""
    if isinstance(value, str):
        return SpectralQe.from_file(Path(where).parent / value)
    if not isinstance(value, dict):
        raise PresetError(f"{where}: spectral_qe must be a table with wavelength_nm and a list for each colour")
    try:
        return SpectralQe.from_mapping(value)
    except PresetError as error:
        raise PresetError(f"{where}: {error}") from None
