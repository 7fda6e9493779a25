"""Settings of the documentation. ``make docs`` executes its examples and builds it."""

from importlib.metadata import version as version_of
from typing import Any

from sqlalchemy_versioned.options import DEFAULTS

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
    """Show signatures and options as those write them who use the library."""
    app.connect("autodoc-process-signature", _show_signature)
    app.connect("autodoc-process-docstring", _show_default)


def _show_signature(
    app: Any, what: Any, name: Any, obj: Any, options: Any, signature: Any, returns: Any
) -> Any:
    """Show ``...`` where an argument need not be said; options are listed one by one."""
    if name == OPTIONS:
        return "", returns
    return signature and signature.replace("UNSAID", "..."), returns


def _show_default(app: Any, what: Any, name: Any, obj: Any, options: Any, lines: Any) -> None:
    """Tell the default of an option at the end of what is said of it."""
    owner, _, key = name.rpartition(".")
    if owner == OPTIONS and hasattr(DEFAULTS, key):
        default: Any = getattr(DEFAULTS, key)
        default = getattr(default, "value", list(default) if isinstance(default, SETS) else default)
        lines.extend(["", f"Default: ``{default!r}``.", ""])


#: What the documentation calls the class of options, and what its options are that list something.
OPTIONS, SETS = "sqlalchemy_versioned.options.Options", (frozenset, tuple)

# Each page starts without versioning, and leaves none to the next.
doctest_global_cleanup = """
from sqlalchemy.orm import clear_mappers, close_all_sessions
from sqlalchemy_versioned import remove_versioning

close_all_sessions()
clear_mappers()
remove_versioning()
"""
