"""Every published protection as a named scheme, behind one interface."""

from scrambler.schemes import shuffles as _shuffles  # noqa: F401 - importing a family registers its schemes
from scrambler.schemes.base import Card, Protected, Scheme
from scrambler.schemes.registry import list_schemes, register_scheme, scheme

__all__ = ["Card", "Protected", "Scheme", "list_schemes", "register_scheme", "scheme"]
