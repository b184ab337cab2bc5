"""The few calls of ``huggingface_hub`` that are used, and its errors as sentences; it is imported only to fetch.

Files come one by one from ``hf_hub_download``, not from ``snapshot_download``: that lists the repository a second time,
hands out what is cached where the listing fails, not always able to tell whether that is whole, and does not say which
file came from another commit.
"""

from __future__ import annotations

import inspect
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from reprozoo.base.errors import IntegrityError, UnavailableError
from reprozoo.zoo.weights.cache import Progress

MAX_TIMEOUT_S = 30.0  # of a question; HF_HUB_ETAG_TIMEOUT below that is honoured, and 10 s is the client's default
TRANSPORTS = ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3")  # of the client's versions


@dataclass(frozen=True)
class HubFile:
    """What the Hub says about a file: its size, and the sha256 of a large or git's sha1 of a small one, in hex."""

    bytes: int
    digest: str


@dataclass(frozen=True)
class Listing:
    """A repository at one commit."""

    commit: str
    files: Mapping[str, HubFile]


class GatedError(UnavailableError):
    """The repository wants its licence to be accepted, or a token."""

    gated = True


def endpoint() -> str:
    """Where the Hub is: ``HF_ENDPOINT``, or the real one."""
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def host() -> str:
    """The host's name, for messages."""
    return urlsplit(endpoint()).hostname or endpoint()


def listing_of(repo: str, revision: str | None) -> Listing:
    """All files of a repository with sizes and digests, at the commit that ``revision`` (main) means now.

    Raises:
        UnavailableError: it cannot be had.
    """
    from huggingface_hub import HfApi, constants

    timeout_s = min(float(constants.HF_HUB_ETAG_TIMEOUT), MAX_TIMEOUT_S)
    with explained_hub(repo, revision):
        api = HfApi(endpoint=endpoint(), library_name="reprozoo")
        info = api.model_info(repo, revision=revision, timeout=timeout_s, files_metadata=True)
    if not info.sha or not re.fullmatch(r"[0-9a-f]{40}", info.sha):
        raise UnavailableError(f"{host()} named no commit for {repo}; if HF_ENDPOINT is set, check that it is a Hub")
    files = {}
    for sibling in info.siblings or []:
        digest = sibling.lfs.sha256 if sibling.lfs else sibling.blob_id
        files[sibling.rfilename] = HubFile(sibling.size or 0, digest or "")
    return Listing(info.sha, files)


def download(repo: str, commit: str, name: str, cache: Path, progress: Progress | None, *, size: int) -> Path:
    """One file into the Hub's cache.

    Raises:
        UnavailableError: it cannot be had.
        IntegrityError: it has another size than the Hub says.
    """
    from huggingface_hub import hf_hub_download

    options: dict[str, Any] = {}
    if "tqdm_class" in inspect.signature(hf_hub_download).parameters:
        options["tqdm_class"] = _bar_class(name, progress, size)
    with explained_hub(repo, commit, name), _quiet_client():
        found = hf_hub_download(
            repo, name, revision=commit, cache_dir=cache, endpoint=endpoint(), library_name="reprozoo", **options
        )
    if progress:
        progress(name, size, size)
    return Path(found)


@contextmanager
def _quiet_client() -> Iterator[None]:
    """Without the client's remarks on retries, which are not for a user of reprozoo."""
    logger = logging.getLogger("huggingface_hub")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _bar_class(name: str, progress: Progress | None, size: int) -> type[Any]:
    """A tqdm that shows nothing and tells ``progress``."""
    from huggingface_hub import utils

    base: Any = utils.tqdm  # type: ignore[attr-defined]  # it is public, and not listed as such

    class Bar(base):  # type: ignore[misc]  # tqdm is not typed
        def __init__(self, *arguments: Any, **options: Any) -> None:
            self._done = int(options.get("initial") or 0)
            super().__init__(*arguments, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            self._done += int(n or 0)
            if progress:
                progress(name, min(self._done, size), size)
            return None

    return Bar


@contextmanager
def explained_hub(repo: str, revision: str | None, name: str = "") -> Iterator[None]:
    """Turn the client's errors into sentences that name the host and what to do.

    Raises:
        UnavailableError: gated, gone, unreachable, refused.
        IntegrityError: another size than announced.
    """
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        raise _gated(repo) from error
    except errors.RevisionNotFoundError as error:
        raise UnavailableError(
            f"{repo} on the Hugging Face Hub has no revision {revision!r}; check the card"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise _refused_or_unreachable(repo, name, error.__cause__ or error) from error
    except errors.EntryNotFoundError as error:
        raise UnavailableError(f"{repo} on the Hugging Face Hub has no {name} at {revision}; check the card") from error
    except errors.RepositoryNotFoundError as error:
        raise _private_or_gone(repo) from error
    except errors.HfHubHTTPError as error:
        raise _refused_or_unreachable(repo, name, error) from error
    except errors.HFValidationError as error:
        raise UnavailableError(
            f"{repo!r} cannot be the name of a repository on the Hugging Face Hub: {error}"
        ) from error
    except Exception as error:
        if isinstance(error, OSError) and "Consistency check failed" in str(error):
            raise IntegrityError(
                f"{name} of {repo} has another size than the Hub says; it was not kept. Run the same command again"
            ) from error
        if type(error).__module__.split(".")[0] in TRANSPORTS or isinstance(error, ConnectionError | TimeoutError):
            raise _refused_or_unreachable(repo, name, error) from error
        raise


def _refused_or_unreachable(repo: str, name: str, error: BaseException) -> UnavailableError:
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    what = f"{name} of {repo}" if name else repo
    if status in (401, 403):
        return _gated(repo)
    if status is not None:
        return UnavailableError(
            f"{host()} answered {status} to the request for {what}; run the same command again later"
        )
    reason = str(error).split("\n")[0] or type(error).__name__
    return UnavailableError(
        f"could not reach {host()} for {what}: {reason}. Check the connection, set HF_ENDPOINT to a mirror, or give "
        "--offline to use only what is here"
    )


def _gated(repo: str) -> GatedError:
    return GatedError(
        f"{repo} is gated or private: accept its licence at {endpoint()}/{repo} with your account, then log in with "
        "`hf auth login` or set HF_TOKEN, and run the same command again"
    )


def _private_or_gone(repo: str) -> UnavailableError:
    return UnavailableError(
        f"{repo} is not on {host()}, or it is private: if it is yours or you were invited, log in with `hf auth login` "
        "or set HF_TOKEN; otherwise the card needs another source"
    )
