"""Write a sensor as a preset file that :func:`sensor.sensor_preset` reads back, figure by figure."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from scrambler.files import write_atomically
from sensor.errors import PresetError
from sensor.params import SensorParams
from sensor.spectral_qe import SpectralQe

_HEADING = "# Each figure has a value and either its source or, where nobody published it, why this value is assumed.\n"
_ASSUMED = "assumed: "


def write_preset(params: SensorParams, path: str | Path) -> None:
    """Write a sensor as a preset file, replacing ``path`` in one step.

    Figures keep their provenance; one that has none is marked as set by hand. ``sensor_preset(path)`` equals
    ``params``.

    Parameters
    ----------
    params : SensorParams
        The sensor.
    path : str or Path
        Must end in ``.toml``.

    Raises
    ------
    PresetError
        For another ending, and when the file cannot be written.
    """
    lines = [_HEADING, f"name = {toml_value(params.name)}", f"title = {toml_value(params.title)}"]
    for field in fields(params):
        value = getattr(params, field.name)
        if field.name in ("name", "title", "provenance") or value is None:
            continue
        origin = params.provenance.get(field.name, f"{_ASSUMED}set by hand, without a source")
        assumed = origin.startswith(_ASSUMED)
        lines += [
            f"\n[{field.name}]",
            f"{'assumed' if assumed else 'source'} = {toml_value(origin.removeprefix(_ASSUMED))}",
        ]
        if isinstance(value, SpectralQe):
            lines.append(f"[{field.name}.value]")
            lines += [f"{key} = {toml_value(curve)}" for key, curve in vars(value).items() if curve]
        else:
            lines.append(f"value = {toml_value(value)}")
    write_toml(Path(path), "\n".join(lines) + "\n")


def write_toml(path: Path, text: str) -> None:
    """Write the text of a preset file in one step; errors as for :func:`write_preset`."""
    if path.suffix != ".toml":
        raise PresetError(f"{path}: a sensor preset is a TOML file; let the name end in .toml")
    try:
        write_atomically(path, text.encode("utf-8"))
    except UnicodeEncodeError:
        raise PresetError(f"{path}: the name or a source has characters that UTF-8 cannot write") from None
    except OSError as error:
        raise PresetError(f"{path}: cannot write the sensor preset ({error.strerror})") from None


def toml_value(value: Any) -> str:
    r"""Return a number, truth value, text or sequence of them as TOML.

    Examples
    --------
    >>> toml_value((True, 1, 0.5, float("inf"), 'a "b"'))
    '[true, 1, 0.5, inf, "a \\"b\\""]'
    """
    if isinstance(value, str):
        # JSON's escapes are TOML's too, but for characters beyond the basic plane and the delete character.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(toml_value(item) for item in value)}]"
    return repr(int(value) if isinstance(value, int) else float(value))
