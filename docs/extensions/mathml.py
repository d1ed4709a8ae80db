"""Equations as MathML, which browsers draw themselves: pages need no script and no network."""

import re

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator

# What docutils does not know, or reads otherwise than LaTeX does: sizes of brackets (MathML's grow by themselves),
# dots, and fractions of single digits without braces.
_REWRITTEN = (
    (re.compile(r"\\[bB]igg?[lr]?(?![A-Za-z])"), ""),
    (re.compile(r"\\dots(?![A-Za-z])"), r"\\ldots"),
    (re.compile(r"(\\[td]?frac)\s*(\d)\s*(\d)"), r"\1{\2}{\3}"),
)


def mathml(latex: str, *, block: bool) -> str:
    """Return an equation's markup."""
    for pattern, replacement in _REWRITTEN:
        latex = pattern.sub(replacement, latex)
    markup: str = tex2mathml(latex, as_block=block)
    return markup


def _inline(page: HTML5Translator, node: nodes.math) -> None:
    page.body.append(mathml(node.astext(), block=False))
    raise nodes.SkipNode


def _block(page: HTML5Translator, node: nodes.math_block) -> None:
    page.body.append(f'<div class="math">{mathml(node.astext(), block=True)}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> ExtensionMetadata:
    """Add the renderer called ``mathml``."""
    app.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
