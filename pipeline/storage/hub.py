"""Files of a Hugging Face hub: from `hf://org/repo[@revision]/path` to a path on this machine, by way of the hub's own cache; and a
folder of this machine to a dataset there.

Where the cache lies, which hub is asked, with which token, and whether it may be asked at all, is said by the usual environment
variables (HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE), read by huggingface_hub itself.
"""

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import unquote

from pipeline.errors import ConfigError, StorageError, TrackmillError

_PREFIX = "hf://"
_SOURCE = re.compile(r"hf://(?P<repo>[^/@]+/[^/@]+)(?:@(?P<revision>[^/]+))?/(?P<filename>.*[^/])")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class HubFile:
    """A file in the hub's local cache."""

    path: str
    sha256: str | None  # of the bytes as the hub has them; None for a small file, which the hub names by another hash


@dataclass(frozen=True, kw_only=True, slots=True)
class HubAddress:
    """Address of an `hf://` source."""

    repo: str  # "org/name"
    filename: str  # path within the repository
    revision: str = "main"  # branch, tag or commit


def is_hub_source(source: str) -> bool:
    """Whether `source` names a file of the hub."""
    return source.startswith(_PREFIX)


def parse_hub_source(source: str) -> HubAddress:
    """Take `hf://org/repo[@revision]/path` apart; a slash within the revision is written %2F. Raises ConfigError."""
    found = _SOURCE.fullmatch(source)
    if found is None:
        raise ConfigError(f"{source} is no address of a hub file; expected hf://org/repo/path/in/the/repo or hf://org/repo@revision/path")
    return HubAddress(repo=found["repo"], filename=found["filename"], revision=unquote(found["revision"] or "main"))


def fetch_from_hub(source: str, *, cache_dir: str | None = None, endpoint: str | None = None) -> HubFile:
    """The local copy of a hub file, fetched if the cache does not hold it.

    A copy in the cache is used without asking the network, also where a branch has moved on since: every worker of a job then
    gets the same bytes. To have the newest, name its commit as the revision, or delete the copy.

    Args:
        source: `hf://org/repo[@revision]/path`.
        cache_dir: the cache to use; None for the one that the environment names.
        endpoint: the hub to ask; None for the one that the environment names.
    Returns:
        Its path, and the sha256 that its bytes must have, where the hub says one. The bytes are not read here.
    Raises: ConfigError if there is no such file, no right to it, or no way to it; StorageError if it cannot be written.
    """
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    wanted = parse_hub_source(source)
    # The base of the HTTP client's errors. Which client it is differs between versions of huggingface_hub.
    client_error = cast(type[Exception], HfHubHTTPError.__bases__[0])
    try:
        path = try_to_load_from_cache(wanted.repo, wanted.filename, cache_dir=cache_dir, revision=wanted.revision)
        if not isinstance(path, str):
            _log.info("fetching %s", source)
            path = hf_hub_download(wanted.repo, wanted.filename, revision=wanted.revision, cache_dir=cache_dir, endpoint=endpoint)
    except HFValidationError as error:
        raise ConfigError(f"{source} is no address of a hub file: {error}") from error
    except (client_error, OSError) as error:
        raise _explained(error, source, _by_hand(wanted, endpoint)) from error
    return HubFile(path=path, sha256=_sha256_by_name(path))


def send_folder_to_hub(folder: str, repo: str, *, owned: Sequence[str] = (), private: bool = False, endpoint: str | None = None) -> str:
    """Add the files of a local folder to a dataset of the hub, in one commit; files that are there already and equal cost nothing.

    Args:
        repo: "owner/name"; it is made if there is none.
        owned: patterns of files that are deleted there if the folder does not have them; others stay.
        private: whether a dataset that is made is hidden from others.
        endpoint: the hub to ask; None for the one that the environment names.
    Returns: address of the dataset.
    Raises: ConfigError if the hub does not take it: no right, no network, no such owner.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    client_error = cast(type[Exception], HfHubHTTPError.__bases__[0])
    api = HfApi(endpoint=endpoint)
    try:
        url = api.create_repo(repo, repo_type="dataset", private=private, exist_ok=True)
        _log.info("sending %s to %s", folder, url)
        api.upload_folder(
            folder_path=folder,
            repo_id=repo,
            repo_type="dataset",
            commit_message="Publish labels",
            delete_patterns=list(owned),
            ignore_patterns=["*.tmp"],
        )
    except HFValidationError as error:
        raise ConfigError(f"{repo} is no name of a dataset on the hub: {error}; write OWNER/NAME") from error
    except (client_error, OSError) as error:
        raise ConfigError(
            f"{repo}: the hub did not take the folder ({_first_line(error)}); log in with `hf auth login` as somebody who may write there,"
            f" then run the same command again; everything is ready in {folder}"
        ) from error
    return str(url)


def _sha256_by_name(path: str) -> str | None:
    """The sha256 of a large file is the name of the blob that the cache's link points to."""
    target = Path(os.readlink(path)) if os.path.islink(path) else Path()
    return target.name if target.parent.name == "blobs" and _SHA256.fullmatch(target.name) else None


def _by_hand(wanted: HubAddress, endpoint: str | None) -> str:
    from huggingface_hub import hf_hub_url

    url = hf_hub_url(wanted.repo, wanted.filename, revision=wanted.revision, endpoint=endpoint)
    return f"fetch {url} where there is a network and give the file's path instead, or set HF_HOME to a cache that holds it"


def _explained(error: Exception, source: str, by_hand: str) -> TrackmillError:
    """An error of the hub in words, with the remedy. The order of the questions matters: some of these errors are kinds of others."""
    from huggingface_hub import errors as hub

    wanted = parse_hub_source(source)
    if isinstance(error, hub.LocalEntryNotFoundError | hub.OfflineModeIsEnabled):
        reason = _first_line(error.__cause__ or error)
        return ConfigError(f"{source} is not in the hub's cache and cannot be fetched ({reason}); {by_hand}")
    if isinstance(error, hub.RepositoryNotFoundError):
        return ConfigError(
            f"{source}: the hub has no repository {wanted.repo}, or lets only some see it ({_first_line(error)});"
            " check the name, or log in with `hf auth login`"
        )
    if isinstance(error, hub.RevisionNotFoundError):
        return ConfigError(f"{source}: {wanted.repo} has no revision {wanted.revision!r}; check the branch, tag or commit after the @")
    if isinstance(error, hub.EntryNotFoundError):
        return ConfigError(f"{source}: {wanted.repo} has no file {wanted.filename} at {wanted.revision}; check the name")
    if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError | TimeoutError):
        return StorageError(f"{source}: the hub's cache cannot be written ({error}); make room or set HF_HOME to another place")
    return ConfigError(f"{source} could not be fetched ({_first_line(error)}); try again, or {by_hand}")


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
