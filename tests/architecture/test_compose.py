"""docker-compose.yml against the official schema, and against what we promise about it."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for

ROOT = Path(__file__).parents[2]
SERVICES = {"larder": "cpu", "larder-cuda": "cuda"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def validator() -> Validator:
    schema = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    content = json.loads(schema.read_text(encoding="utf-8"))
    return validator_for(content)(content)


def test_compose_file_follows_the_official_schema(
    compose: dict[str, Any], validator: Validator
) -> None:
    assert [error.message for error in validator.iter_errors(compose)] == []


def test_the_schema_is_strict_enough_to_find_a_typo(
    compose: dict[str, Any], validator: Validator
) -> None:
    service = {**compose["services"]["larder"], "restrat": "always"}
    assert not validator.is_valid({**compose, "services": {"larder": service}})


def test_one_service_a_profile(compose: dict[str, Any]) -> None:
    profiles = {name: service["profiles"] for name, service in compose["services"].items()}
    assert profiles == {name: [profile] for name, profile in SERVICES.items()}


@pytest.mark.parametrize("name", SERVICES)
def test_service_keeps_its_promises(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert service["volumes"] == ["larder-data:/data"]
    assert "larder-data" in compose["volumes"]
    assert service["restart"] == "unless-stopped"
    assert "/healthz" in service["healthcheck"]["test"][-1]
    assert service["cap_drop"] == ["ALL"]
    assert "privileged" not in service


def test_only_cuda_reserves_a_gpu(compose: dict[str, Any]) -> None:
    assert "deploy" not in compose["services"]["larder"]
    (device,) = compose["services"]["larder-cuda"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}


def test_build_arguments_are_the_dockerfiles(compose: dict[str, Any], dockerfile: str) -> None:
    for service in compose["services"].values():
        for argument in service["build"]["args"]:
            assert f"ARG {argument}=" in dockerfile


def test_image_runs_as_a_user_of_its_own_and_copies_what_is_there(dockerfile: str) -> None:
    lines = dockerfile.splitlines()
    assert lines.index("USER larder") < next(
        number for number, line in enumerate(lines) if line.startswith("CMD")
    )
    for line in lines:
        if line.startswith("COPY "):
            for name in line.split()[1:-1]:
                assert (ROOT / name).exists(), line
