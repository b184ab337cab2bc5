"""Which plugins fit this reprozoo: the version of the plugin API, the range a plugin wants, how things are taken away.

``API_VERSION`` is of everything a plugin sees: hooks, what they register, the public names of ``reprozoo``. Its minor
number rises when something is added, its major number when something is taken away.
"""

from __future__ import annotations

from reprozoo.base.errors import PluginError

API_VERSION = "2.0"
RANGE_NAME = "REPROZOO_API"


class IncompatibleError(PluginError):
    """A plugin wants another version of the plugin API."""


class ReprozooDeprecationWarning(DeprecationWarning):
    """Something a plugin uses ends with the next minor release; pytest shows it, and so does ``reprozoo plugins``."""


def check_api(plugin: object) -> None:
    """Compare ``REPROZOO_API`` of a plugin, a range such as ">=2,<3", with ``API_VERSION``; without one it fits.

    Raises:
        IncompatibleError: the version is outside of the range.
        PluginError: it is no range.
    """
    wanted = getattr(plugin, RANGE_NAME, None)
    if wanted is None:
        return
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # only for plugins that ask

    try:
        fits = API_VERSION in SpecifierSet(wanted if isinstance(wanted, str) else repr(wanted))
    except InvalidSpecifier:
        raise PluginError(f'{RANGE_NAME} = {wanted!r} is no range of versions; write e.g. ">=2,<3"') from None
    if not fits:
        raise IncompatibleError(
            f"it wants plugin API {wanted}, and this reprozoo has {API_VERSION}; update whichever of the two is older"
        )


def deprecation(what: str, *, instead: str, since: str) -> ReprozooDeprecationWarning:
    """The warning for something that still works, from minor release ``since`` until the next one.

    For ``warnings.warn``, and for a hook's ``warn_on_impl`` and ``warn_on_impl_args``, where pluggy warns by itself.

    >>> str(deprecation("the argument `add`", instead="`register`", since="0.2"))
    'the argument `add` is deprecated since reprozoo 0.2 and ends with 0.3; use `register`'
    """
    major, minor = map(int, since.split("."))
    return ReprozooDeprecationWarning(
        f"{what} is deprecated since reprozoo {since} and ends with {major}.{minor + 1}; use {instead}"
    )
