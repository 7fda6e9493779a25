"""Settings of the documentation. ``make docs`` executes its examples and builds it."""

from importlib.metadata import version as version_of
from typing import Any

project = "SQLAlchemy-Versioned"
author = "SQLAlchemy-Versioned contributors"
copyright = f"2026, {author}"
release = version_of("SQLAlchemy-Versioned")

extensions = ["sphinx.ext.autodoc", "sphinx.ext.doctest"]
exclude_patterns = ["_build", "benchmarks-table.rst", "write-paths-table.rst"]
if tags.has("examples"):  # noqa: F821  Sphinx provides it
    # The suite runs the examples of docstrings, each in a scene of its own.
    exclude_patterns.append("reference.rst")
    # Without it, what leads to it leads nowhere.
    suppress_warnings = ["toc.excluded", "ref.doc"]
else:
    # What a page refers to must be there. The types in signatures may be those of others, and ours
    # bear the names of the modules that define them.
    nitpicky = True
    nitpick_ignore_regex = [
        ("py:class", r"(collections|contextlib|datetime|sqlalchemy)\..*"),
        ("py:class", r"Column|MetaData|Session|Table"),
        ("py:class", r"sqlalchemy_versioned\.(\w+\.)*(T|\w+\.\w+)"),
    ]
html_theme = "furo"
html_title = f"{project} {release}"
html_static_path = ["_static"]
html_css_files = ["style.css"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# A parameter a line, where a line has no place for all.
python_maximum_signature_line_length = 96
# Defaults are shown as they are written, not as objects.
autodoc_preserve_defaults = True


def setup(app: Any) -> None:
    """Show what need not be said as what Python writes for it, and not by our name for it."""
    app.connect("autodoc-process-signature", _show_unsaid)


def _show_unsaid(
    app: Any, what: Any, name: Any, obj: Any, options: Any, signature: Any, returns: Any
) -> Any:
    return signature and signature.replace("UNSAID", "..."), returns


# Each page starts without versioning, and leaves none to the next.
doctest_global_cleanup = """
from sqlalchemy.orm import clear_mappers, close_all_sessions
from sqlalchemy_versioned import remove_versioning

close_all_sessions()
clear_mappers()
remove_versioning()
"""
