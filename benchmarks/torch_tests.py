"""PyTorch's own tests with the drop-ins in place of its recurrent layers: ``python benchmarks/torch_tests.py PYTORCH``.

PYTORCH is an unpacked source tree of PyTorch of about the installed version: its wheel has no tests, Debian's source package
``pytorch`` has. ``test/test_nn.py``, ``test/test_expanded_weights.py`` and ``test/nn`` run as they are, once with ``torch.nn``
and once with ``rondeau.nn``, and the tests whose outcome is worse are listed. One JSON line is appended to
benchmarks/results/torch_tests.jsonl.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from common import write

NAMES = ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")
MOVED: dict[str, dict[str, Any]] = {
    "common_nn": {"new_module_tests": [], "module_tests": [], "criterion_tests": []},
    "common_cuda": {"tf32_is_not_fp32": lambda: False},
    "common_mkldnn": {"bf32_on_and_off": lambda *args: lambda test: test},
}
"""Helpers of PyTorch's tests that other versions import; none of them concerns recurrent layers."""


def pytest_configure() -> None:
    """Before the tests are read: what other versions import exists, and with RONDEAU_DROPIN the layers are the drop-ins."""
    for module, names in MOVED.items():
        loaded = importlib.import_module(f"torch.testing._internal.{module}")
        for name, value in names.items():
            setattr(loaded, name, getattr(loaded, name, value))
    if os.environ.get("RONDEAU_DROPIN"):
        from rondeau import nn

        for owner in (torch.nn, torch.nn.modules, torch.nn.modules.rnn):
            for name in NAMES:
                setattr(owner, name, getattr(nn, name))


def outcomes(tests: Path, dropin: bool, only: str) -> dict[str, str]:
    """How each test ended, by its name: passed, failed or skipped."""
    report = tests / f"report{dropin:d}.xml"
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path, "RONDEAU_DROPIN": "1" * dropin, "PYTORCH_TESTING_DEVICE_ONLY_FOR": "cpu"}
    options = ["-q", "-p", "torch_tests", "-p", "no:cacheprovider", "-k", only, f"--junit-xml={report}", "--rootdir", "."]
    subprocess.run(
        [sys.executable, "-m", "pytest", *options, "."], cwd=tests, env=environment, stdout=subprocess.DEVNULL, check=False
    )
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        tag = next((child.tag for child in case if child.tag in ("failure", "error", "skipped")), "passed")
        found[f"{case.get('classname')}::{case.get('name')}"] = {"failure": "failed", "error": "failed"}.get(tag, tag)
    return found


def copied(source: Path, target: Path) -> Path:
    """PyTorch's test files alone, away from its package and settings."""
    files = [source / "test" / name for name in ("test_nn.py", "test_expanded_weights.py")]
    for file in [*files, *sorted((source / "test" / "nn").glob("test_*.py"))]:
        shutil.copy(file, target)
    return target


def main() -> None:
    """Runs the tests both ways and says where they differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, metavar="PYTORCH")
    parser.add_argument("--only", default="", help="as pytest's -k: 'rnn or lstm or gru' for these layers alone")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tests = copied(args.source, Path(folder))
        stock, ours = (outcomes(tests, dropin, args.only) for dropin in (False, True))
    worse = sorted(name for name, end in stock.items() if end == "passed" and ours.get(name) != "passed")
    for name in worse:
        print(f"{name}: passed with torch.nn, {ours.get(name, 'absent')} with rondeau.nn")
    counts = {"torch.nn": Counter(stock.values()), "rondeau.nn": Counter(ours.values())}
    write("torch_tests", {"tests": args.only or "all", **counts, "worse": len(worse)})


if __name__ == "__main__":
    main()
