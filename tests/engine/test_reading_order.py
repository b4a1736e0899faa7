"""Who reads the compiler is told in which order, and no file is left out."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest


@pytest.mark.parametrize("room", ["compile", "llvm"])
def test_every_file_has_its_place_in_the_order_of_reading(room: str) -> None:
    package = importlib.import_module(f"rondeau.engine.{room}")
    text = (package.__doc__ or "").split("In the order of reading", 1)[1].split(":", 1)[1]
    listed = text.split("; then", 1)[0].split(".", 1)[0].replace("\n", " ").split(",")
    present = {path.stem for path in Path(str(package.__file__)).parent.glob("*.py")} - {"__init__"}
    assert {name.strip() for name in listed} == present
