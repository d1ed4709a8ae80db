"""The file that says what to train."""

import dataclasses
import tomllib
from pathlib import Path
from typing import Any, get_args

from networks.errors import TrainingError
from networks.training.config import Protect, TrainConfig


def read_train_config(path: Path | str) -> TrainConfig:
    """Read a TOML file whose entries are the fields of :class:`TrainConfig`, and a table ``[protect]`` if there is one.

    Raises
    ------
    TrainingError
        If the file is missing, no TOML, or an entry is unknown or of the wrong type.
    """
    path = Path(path)
    try:
        entries = tomllib.loads(path.read_text())
    except OSError:
        raise TrainingError(f"no configuration file at {path}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path} is no TOML file: {error}") from None
    protect = entries.pop("protect", None)
    values = _typed(entries, TrainConfig, path)
    if protect is not None:
        if not isinstance(protect, dict):
            raise TrainingError(f"{path}: protect must be a table, [protect]")
        parameters = protect.pop("parameters", {})
        values["protect"] = Protect(parameters=parameters, **_typed(protect, Protect, path))
    return TrainConfig(**values)


def _typed(entries: dict[str, Any], kind: type, path: Path) -> dict[str, Any]:
    """Return ``entries`` when all of them are fields of ``kind``, with values of their types."""
    # A field of type "int | None" has int as its first part; a whole number will do for a float.
    known = {f.name: (get_args(f.type) or (f.type,))[0] for f in dataclasses.fields(kind)}
    for name, value in entries.items():
        if name not in known:
            raise TrainingError(f"{path}: there is no entry {name!r}; choose among {', '.join(sorted(known))}")
        wanted = known[name]
        if type(value) is not wanted and not (wanted is float and type(value) is int):
            raise TrainingError(f"{path}: {name} must be of type {wanted.__name__}, got {value!r}")
    return entries
