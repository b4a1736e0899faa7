"""What `make` installs is pinned, each package once, for every Python."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

try:
    import tomllib
except ModuleNotFoundError:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PINS = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]


def _name(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()


def _wanted() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = [text for texts in project["project"]["optional-dependencies"].values() for text in texts]
    return [Requirement(text) for text in project["project"]["dependencies"] + project["build-system"]["requires"] + extras]


def test_each_pin_is_one_exact_version() -> None:
    assert all(re.fullmatch(r"[a-z0-9.-]+==[0-9][0-9a-z.]*", line) for line in PINS), PINS
    names = [_name(line.split("==")[0]) for line in PINS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("wanted", _wanted(), ids=lambda wanted: wanted.name)
def test_what_the_project_asks_for_is_pinned_to_a_version_it_takes(wanted: Requirement) -> None:
    if _name(wanted.name) == "rondeau":  # an extra made of extras
        return
    pins = {_name(name): version for name, version in (line.split("==") for line in PINS)}
    assert _name(wanted.name) in pins, f"add {wanted.name}==... to constraints.txt"
    assert wanted.specifier.contains(pins[_name(wanted.name)])
