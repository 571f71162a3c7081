"""Exceptions to checkov: each has a reason and something that it excuses."""

from __future__ import annotations

import tomllib

import pytest

from eros_cli import manifests
from eros_cli.checkov import EXCEPTIONS, Exemption, Finding, exemptions, faults_of

FOUND = Finding("CKV_1", "local", "Deployment.eros.accounts", "something")


def test_the_file_is_readable_and_gives_its_reasons() -> None:
    found = exemptions(tomllib.loads(EXCEPTIONS.read_text("utf-8")))
    assert found
    assert all(one.overlays <= set(manifests.OVERLAYS) for one in found)
    assert all(len(one.why) > 40 for one in found)
    # In production nothing is excused but where settings come from.
    assert {one.check for one in found if "production" in one.overlays} == {"CKV_K8S_35"}


def test_what_is_excused_is_no_fault_and_everything_else_is() -> None:
    one = Exemption("CKV_1", frozenset(["local"]), ("Deployment.*",), "because")
    assert faults_of([FOUND], [one]) == []
    elsewhere = Finding("CKV_1", "production", "Deployment.eros.accounts", "something")
    other = Finding("CKV_1", "local", "Job.eros.migrations", "something")
    assert faults_of([FOUND, elsewhere, other], [one]) == [
        "CKV_1 local Job.eros.migrations: something",
        "CKV_1 production Deployment.eros.accounts: something",
    ]


def test_an_exception_that_excuses_nothing_is_a_fault() -> None:
    idle = Exemption("CKV_2", frozenset(["local"]), ("*",), "because")
    assert faults_of([], [idle]) == ["checkov.toml: CKV_2 is excused and never found"]


def test_without_a_reason_there_is_no_exception() -> None:
    with pytest.raises(ValueError, match="CKV_9"):
        exemptions({"exception": [{"check": "CKV_9", "overlays": [], "objects": [], "why": " \n"}]})
