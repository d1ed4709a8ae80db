"""Settings of the documentation: `make docs` builds it into docs/_build, with warnings as errors and no download."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "extensions"))

from shufflecam import __version__  # noqa: E402 - the line above belongs first

project = "ShuffleCam"
author = "The ShuffleCam authors"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_gallery.gen_gallery",
    "inner_names",
    "mathml",
    "verbs",
]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}

# Headings can be linked to as page.md#heading.
myst_heading_anchors = 3
myst_enable_extensions = ["deflist"]

# Whatever a package exports, by kind; types stand in the docstrings, in words, and are no references.
autodoc_default_options = {"members": True, "imported-members": True}
autodoc_member_order = "groupwise"
autodoc_typehints = "none"
napoleon_numpy_docstring = True
napoleon_google_docstring = False
napoleon_use_param = False
napoleon_use_rtype = False
napoleon_custom_sections = [("Attributes", "params_style")]

# A reference to a name that is gone is a mistake.
nitpicky = True

html_theme = "alabaster"
html_theme_options = {
    "description": "Cameras that shuffle their pixels, networks that read them",
    "fixed_sidebar": True,
    "page_width": "1100px",
    "sidebar_width": "230px",
}
html_math_renderer = "mathml"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False

sphinx_gallery_conf = {
    "examples_dirs": str(HERE.parent / "examples"),
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "gallery_order.order",
    "reset_argv": "gallery_order.arguments",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
}
