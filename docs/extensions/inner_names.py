"""References from docstrings to names that no page describes: plain text if there is such a name, else a warning."""

from importlib import import_module

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.typing import ExtensionMetadata


def exists(name: str) -> bool:
    """Tell whether a dotted name is a module, something in one, or a field of something in one."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            thing: object = import_module(".".join(parts[:end]))
        except (ImportError, ValueError):
            continue
        for part in parts[end:]:
            if part in getattr(thing, "__dataclass_fields__", {}):
                return part == parts[-1]
            if not hasattr(thing, part):
                return False
            thing = getattr(thing, part)
        return True
    return False


def _as_text(
    app: Sphinx, env: BuildEnvironment, reference: pending_xref, text: nodes.TextElement
) -> nodes.TextElement | None:
    target = reference.get("reftarget", "")
    names = (target, f"{reference.get('py:module')}.{target}")
    return text if reference.get("refdomain") == "py" and any(exists(name) for name in names) else None


def setup(app: Sphinx) -> ExtensionMetadata:
    """Watch the references that Sphinx could not resolve."""
    app.connect("missing-reference", _as_text)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
