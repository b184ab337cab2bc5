"""The one-file HTML page: nothing is fetched, nothing but its own script may run.

Everything that comes from outside (ids, prompts, file names, licences) is escaped by the templates, and a content
security policy with the hash of the page's one script stands behind that.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from markupsafe import Markup

from reprozoo.engine.results import Comparison, Generalization
from reprozoo.report.page import Page, comparison_page, generalization_page

if TYPE_CHECKING:
    from jinja2 import Environment


def comparison_html(comparison: Comparison) -> str:
    """The report of ``compare`` and ``score`` as one HTML document."""
    return _render("comparison.html", comparison_page(comparison))


def generalization_html(result: Generalization) -> str:
    """The report of ``generalize`` as one HTML document."""
    return _render("generalization.html", generalization_page(result))


def _render(template: str, page: Page) -> str:
    script, css = _asset("report.js"), _asset("report.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        _environment()
        .get_template(template)
        .render(page=page, css=Markup(css), script=Markup(script), script_hash=f"sha256-{digest}")  # our own files
    )


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("reprozoo.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _asset(name: str) -> str:
    return files("reprozoo.report").joinpath(name).read_text(encoding="utf-8")
