"""Our code in Ray's worker processes: found by PYTHONPATH, sent along, or there already; and their logging."""

import json
import logging
import os
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

PACKAGES = ("pipeline", "networks", "labelers", "trainer", "jobs")
_INSTALLED = ("site-packages", "dist-packages")
_BRING_CODE = ("working_dir", "py_modules", "image_uri", "container")  # fields of a job's environment with which it has code of its own
_SUBMITTED = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # set for the driver by `ray job submit`: JSON with the environment that it was given


@dataclass(frozen=True, kw_only=True, slots=True)
class RayFacts:
    """Where our code lies, and which Ray is to run it: all that its workers' environment depends on."""

    packages: Path  # the folder that holds our packages
    installed: bool  # it is one of Python's own folders of packages, not a checkout
    address: str | None = None  # of a cluster; None: a local Ray that we start
    submitted_with: tuple[str, ...] = ()  # fields of the environment that `ray job submit` gave this job
    python_path: str | None = None  # PYTHONPATH


def ray_facts(environment: Mapping[str, str] = os.environ) -> RayFacts:
    """The facts of this process."""
    packages = Path(__file__).resolve().parents[2]
    own = {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}
    submitted = json.loads(environment.get(_SUBMITTED) or "{}").get("runtime_env") or {}
    return RayFacts(
        packages=packages,
        installed=packages in own or packages.name in _INSTALLED,
        address=environment.get("RAY_ADDRESS") or None,
        submitted_with=tuple(sorted(submitted)),
        python_path=environment.get("PYTHONPATH"),
    )


def code_environment(facts: RayFacts) -> dict[str, Any]:
    """The part of Ray's runtime environment that lets workers import our packages.

    A local Ray: PYTHONPATH, in a checkout alone; installed packages are found without it, and their folder before the standard library
    would let any package there hide a module of Python's. A cluster: the packages travel (`py_modules`), unless the job was submitted
    with code of its own.
    """
    if facts.address is None:
        if facts.installed:
            return {}
        return {"env_vars": {"PYTHONPATH": os.pathsep.join(filter(None, [str(facts.packages), facts.python_path]))}}
    if any(field in facts.submitted_with for field in _BRING_CODE):
        return {}
    return {"py_modules": [str(facts.packages / name) for name in PACKAGES]}


def set_up_worker() -> None:
    """Logging of a worker process: warnings on standard error, the decoder's own chatter off. Every worker begins with this, so that this
    file loads little.
    """
    av.logging.set_level(av.logging.PANIC)
    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
