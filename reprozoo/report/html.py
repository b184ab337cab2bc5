"""The one-file HTML page: nothing is fetched, nothing but its own script may run.

Everything that comes from outside (ids, prompts, file names, licences) is escaped by the templates, and a content
security policy with the hash of the page's one script stands behind that.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from reprozoo.base.terminal import clean
from reprozoo.engine.result import Comparison
from reprozoo.report.page import page_of

if TYPE_CHECKING:
    from jinja2 import Environment


def report_html(comparison: Comparison) -> str:
    """The report of a result as one HTML document."""
    script = _asset("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    own = {"css": Markup(_asset("report.css")), "script": Markup(script), "script_hash": f"sha256-{digest}"}
    return _rendered("report.html", page=page_of(comparison), **own)


def notebook_html(comparison: Comparison) -> str:
    """A result in a notebook: what it means, its scores, and a few images."""
    from reprozoo.report.notebook import notebook_of

    return _rendered("notebook.html", note=notebook_of(comparison))


def _rendered(template: str, **values: Any) -> str:
    return clean(_environment().get_template(template).render(**values), lines=True)


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
