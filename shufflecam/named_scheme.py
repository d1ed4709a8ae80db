"""Schemes by name, the learned ones among them."""

from collections.abc import Mapping
from typing import Any

from scrambler import Key, Scheme, list_schemes, scheme


def named_scheme(name: str, key: Key | None, parameters: Mapping[str, Any]) -> Scheme:
    """Return :func:`scrambler.scheme` of a name, after loading `networks` where only that knows of it.

    Raises
    ------
    SchemeError
        If there is no such scheme, or it has no such parameter.
    """
    if name not in list_schemes():
        import networks  # noqa: F401 - it adds the learned schemes to the list, and takes seconds to load
    return scheme(name, key=key, **parameters)
