"""The code of docs/from-pytorch.md: what needs nothing else runs here in order, what needs more as a program of its own."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "from-pytorch.md").read_text(encoding="utf-8")
SECTIONS = re.split(r"\n## ", PAGE)[1:]
PROGRAMS = {block.splitlines()[0].removeprefix("# "): block for block in re.findall(r"```py\n(.*?)```", PAGE, re.S)}
NEEDS = {"Lightning": "lightning", "ONNX": "onnxruntime"}


@pytest.fixture(scope="module")
def scope() -> dict[str, Any]:
    torch.manual_seed(0)
    torch._dynamo.reset()
    return {"__name__": "page"}


@pytest.mark.parametrize("section", SECTIONS, ids=lambda text: text.splitlines()[0])
def test_the_page(section: str, scope: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for block in re.findall(r"```python\n(.*?)```", section, re.S):
            exec(compile(block, "docs/from-pytorch.md: " + section.splitlines()[0], "exec"), scope)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program(name: str, tmp_path: Path) -> None:
    needed = NEEDS.get(name)
    if needed is not None and importlib.util.find_spec(needed) is None:
        pytest.skip(f"the package {needed} is not installed")
    if name.startswith("AOTInductor") and not (shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("there is no C++ compiler")
    if "Distributed" in name and not (torch.distributed.is_available() and torch.distributed.is_gloo_available()):
        pytest.skip("this build of PyTorch has no gloo")
    file = tmp_path / "program.py"
    file.write_text(PROGRAMS[name], encoding="utf-8")
    paths = os.pathsep.join([str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    run = subprocess.run(
        [sys.executable, "-W", "ignore", str(file), str(tmp_path / "meeting")],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    assert run.stdout.count(name.partition(",")[0]) == (2 if "Distributed" in name else 1)


def test_every_integration_has_code() -> None:
    names = ["torch.compile", "torch.export", "TorchScript", "ONNX", "Quantisation", "Many processes", "Mixed precision"]
    names += ["Lightning", "Checkpointing", "torch.func", "Pruning", "Weights"]
    for name in names:
        section = next(text for text in SECTIONS if text.startswith(name))
        assert "```py" in section, name
