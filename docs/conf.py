"""How Sphinx makes the docs: `make docs`."""

import re
import sys
from importlib.metadata import version as version_of
from typing import Any

from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

project = "sessionsite"
version = release = version_of("sessionsite")

extensions = [
    "myst_parser",
    "repoze.sphinx.autointerface",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_click",
]
html_theme = "furo"
html_show_copyright = False
html_title = f"{project} {release}"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
myst_heading_anchors = 4
# In docstrings `name` is one of ours, or plain code.
default_role = "py:obj"
autoclass_content = "both"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True  # or the builder's environment is printed, which is one


def link_files(app: Sphinx, docname: str, source: list[str]) -> None:
    """Have links to files outside of docs/ lead to a copy of the file, and pages called by title.

    On GitHub a link to a page has the name of its file.
    """
    source[0] = re.sub(r"\[[\w-]+\.md\]\((?!\.\./)", "[](", source[0])
    source[0] = re.sub(r"\]\((\.\./[^)#]+)(?:#[^)]*)?\)", r"](path:\1)", source[0])


def describe_constant(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Give a constant its text from the module that defines it, not that of its type."""
    if what != "data":
        return
    for module in [each for each in sys.modules if each.startswith("sessionsite.")]:
        texts = ModuleAnalyzer.for_module(module).find_attr_docs()
        text = texts.get(("", name.rpartition(".")[2]))
        if text:
            lines[:] = text


def skip_tests(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool:
    """Leave out the tests of a contract: what each holds is its name."""
    return skip or name.startswith("test_")


def setup(app: Sphinx) -> None:
    app.connect("source-read", link_files)
    app.connect("autodoc-process-docstring", describe_constant)
    app.connect("autodoc-skip-member", skip_tests)
