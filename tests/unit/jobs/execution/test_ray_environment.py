"""Our code in Ray's workers, as a function of where it lies and of the Ray that runs it."""

import json
import os
from pathlib import Path

import pytest

from jobs.execution.ray_environment import RayFacts, code_environment, ray_facts

CHECKOUT = RayFacts(packages=Path("/src/trackmill"), installed=False)
WHEEL = RayFacts(packages=Path("/opt/lib/python3.11/site-packages"), installed=True)
SENT = ["pipeline", "networks", "labelers", "trainer", "jobs"]


def at(facts: RayFacts, **changes) -> RayFacts:
    return RayFacts(**{"packages": facts.packages, "installed": facts.installed, **changes})


def test_a_checkout_is_put_before_the_users_own_python_path():
    assert code_environment(CHECKOUT) == {"env_vars": {"PYTHONPATH": "/src/trackmill"}}
    assert code_environment(at(CHECKOUT, python_path="/mine")) == {"env_vars": {"PYTHONPATH": f"/src/trackmill{os.pathsep}/mine"}}


def test_the_folder_of_installed_packages_is_never_put_before_the_standard_library():
    assert code_environment(at(WHEEL, python_path="/mine")) == {}


@pytest.mark.parametrize("facts", [CHECKOUT, WHEEL])
@pytest.mark.parametrize("submitted_with", [(), ("env_vars",)])
def test_our_packages_travel_to_a_cluster(facts, submitted_with):
    found = code_environment(at(facts, address="10.0.0.1:6379", submitted_with=submitted_with, python_path="/mine"))
    assert found == {"py_modules": [f"{facts.packages}/{name}" for name in SENT]}


@pytest.mark.parametrize("brought", ["working_dir", "py_modules", "image_uri"])
def test_a_job_that_was_submitted_with_its_code_sends_none(brought):
    assert code_environment(at(CHECKOUT, address="10.0.0.1:6379", submitted_with=("env_vars", brought))) == {}


def test_the_facts_of_a_checkout_on_a_cluster():
    submitted = {"runtime_env": {"working_dir": "gcs://x.zip", "env_vars": {"A": "b"}}, "metadata": {}}
    facts = ray_facts({"RAY_ADDRESS": "auto", "PYTHONPATH": "/mine", "RAY_JOB_CONFIG_JSON_ENV_VAR": json.dumps(submitted)})
    assert (facts.address, facts.python_path, facts.submitted_with) == ("auto", "/mine", ("env_vars", "working_dir"))
    assert facts.packages == Path(__file__).parents[4]
    assert all((facts.packages / name / "__init__.py").exists() for name in SENT)
    assert not facts.installed
    assert ray_facts({"RAY_ADDRESS": ""}).address is None
