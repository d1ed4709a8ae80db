"""The list of schemes by name."""

import inspect
import sys
from collections.abc import Callable
from typing import Any

from scrambler.errors import SchemeError
from scrambler.schemes.base import Scheme

_FACTORIES: dict[str, Callable[..., Scheme]] = {}


def register_scheme(name: str, factory: Callable[..., Scheme]) -> None:
    """Add a scheme to the list.

    Parameters
    ----------
    name : str
        A new name.
    factory : callable
        Takes ``key`` and the scheme's parameters as keywords, each with a default, and returns the scheme. It must
        not need the key before ``protect`` or ``reveal``, so that the card can be read without one.

    Raises
    ------
    SchemeError
        If the name is taken.
    """
    if name in _FACTORIES:
        raise SchemeError(f"there is a scheme {name!r} already: choose another name.")
    _FACTORIES[name] = factory


def list_schemes() -> list[str]:
    """Return the names of all schemes; the learned ones appear once `networks` has been imported.

    >>> "pixel-shuffle" in list_schemes()
    True
    """
    return list(_FACTORIES)


def scheme(name: str, key: Any = None, **parameters: Any) -> Scheme:
    """Return a scheme by name.

    Parameters
    ----------
    name : str
        One of :func:`list_schemes`.
    key : Key, optional
        Needed to protect and reveal, not to read the card.
    **parameters
        The scheme's own; its card lists them.

    Raises
    ------
    SchemeError
        If there is no such scheme, or it has no such parameter.

    Examples
    --------
    >>> scheme("pixel-shuffle").card.invertible
    True
    """
    factory = _FACTORIES.get(name)
    if factory is None:
        more = "" if "networks" in sys.modules else "; `import networks` adds the learned ones"
        raise SchemeError(f"there is no scheme {name!r}: choose one of {', '.join(list_schemes())}{more}.")
    known = [parameter for parameter in inspect.signature(factory).parameters if parameter != "key"]
    for parameter in parameters:
        if parameter not in known:
            raise SchemeError(f"scheme {name!r} has no parameter {parameter!r}: it has {', '.join(known)}.")
    return factory(key=key, **parameters)
