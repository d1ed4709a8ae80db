"""Parameters of schemes as commands take them: NAME=VALUE."""

from ast import literal_eval
from collections.abc import Iterable, Sequence
from typing import Any

from scrambler.errors import ShuffleCamError

SchemeParameters = tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]
"""Names of schemes, each with the names and values of its parameters."""


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
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ShuffleCamError(f"--param wants NAME=VALUE, such as block=8, got {text!r}")
    if value.lower() in ("true", "false", "none"):
        value = value.capitalize()
    try:
        return name, literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def json_parameters(parameters: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return names and values as a manifest has them: JSON knows no tuples."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in parameters}


def scheme_parameters(texts: Sequence[str], schemes: Sequence[str]) -> SchemeParameters:
    """Return the parameters of several schemes: NAME=VALUE is meant for all, SCHEME:NAME=VALUE for one.

    Raises
    ------
    ShuffleCamError
        If a text is neither, there is no scheme, or it names one that is not among them.

    Examples
    --------
    >>> scheme_parameters(["etc:block=8", "permute=false"], ["etc", "sit"])
    (('etc', (('block', 8), ('permute', False))), ('sit', (('permute', False),)))
    """
    chosen: dict[str, dict[str, Any]] = {scheme: {} for scheme in schemes}
    for text in texts:
        if not schemes:
            raise ShuffleCamError(f"--param {text} is for a scheme: name it with --scheme")
        to, colon, _ = text.partition("=")[0].partition(":")
        if colon and to not in chosen:
            raise ShuffleCamError(f"--param {text} is for scheme {to!r}, which no --scheme names")
        name, value = read_parameter(text[len(to) + 1 :] if colon else text)
        for scheme in [to] if colon else schemes:
            chosen[scheme][name] = value
    return tuple((scheme, tuple(values.items())) for scheme, values in chosen.items())
