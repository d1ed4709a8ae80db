"""The directive ``verbs``: the help of every verb of the command, as the command prints it."""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata
from typer.core import TyperGroup
from typer.main import get_command

from shufflecam.cli import app as command_line

COLUMNS = 82


class Verbs(SphinxDirective):
    """A section for each verb, with its help text."""

    def run(self) -> list[nodes.Node]:
        """Return the sections, in the order of ``shufflecam --help``."""
        self.env.note_reread()  # the help is code, whose changes Sphinx does not see
        sections: list[nodes.Node] = []
        group = get_command(command_line)
        assert isinstance(group, TyperGroup)
        whole = group.make_context("shufflecam", [], resilient_parsing=True)
        for name, verb in group.commands.items():
            context = verb.make_context(name, [], whole, resilient_parsing=True, terminal_width=COLUMNS)
            section = nodes.section(ids=[name], names=[name])
            section += nodes.title(name, name)
            section += nodes.literal_block(text=verb.get_help(context), language="none")
            self.state.document.note_implicit_target(section, section)
            sections.append(section)
        return sections


def setup(app: Sphinx) -> ExtensionMetadata:
    """Add the directive."""
    app.add_directive("verbs", Verbs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
