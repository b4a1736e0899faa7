"""How often a reader turns back: ``python benchmarks/reading.py [CELL]``.

Follows a cell from `Pipeline` to the text of its training kernel, function by function in the order of their first calls, and
counts the stops (another file than the last), the files, and the returns (to a file already left). ``without vocabulary``
leaves out the files that only say what a word means, which are read once, beforehand.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType

from rondeau.cells import get
from rondeau.engine.compile import pipeline
from rondeau.engine.compile.target import FLOAT32
from rondeau.engine.llvm.host import host_emitter

ENGINE = Path(pipeline.__file__).parent.parent
VOCABULARY = {"buffer", "levels", "linear", "plan", "printing", "step", "target", "tiling", "writer"}


def walk(name: str) -> list[str]:
    """The files of the engine in the order in which their functions are first called."""
    cell, emitter = get(name), host_emitter(FLOAT32)
    seen: set[object] = set()
    files: list[str] = []

    def called(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        path = Path(code.co_filename)
        if event == "call" and code not in seen and ENGINE in path.parents and not code.co_name.startswith("<"):
            seen.add(code)
            files.append(str(path.relative_to(ENGINE)))

    sys.setprofile(called)
    try:
        pipeline.Pipeline(cell, dict.fromkeys(cell.sizes, 24), emitter).code("train")
    finally:
        sys.setprofile(None)
    return files


def stops(files: list[str]) -> list[str]:
    """The files without repeats of the one before."""
    return [file for i, file in enumerate(files) if not i or files[i - 1] != file]


def returns(files: list[str]) -> int:
    """How many stops are at a file that was left before."""
    found = stops(files)
    return len(found) - len(set(found))


def main() -> None:
    """Prints both counts and the way."""
    files = walk(sys.argv[1] if len(sys.argv) > 1 else "gru")
    known = [file for file in files if Path(file).stem not in VOCABULARY]
    for title, chosen in (("all files", files), ("without vocabulary", known)):
        print(f"{title}: {len(stops(chosen))} stops, {len(set(chosen))} files, {returns(chosen)} returns")
    print(" > ".join(stops(known)))


if __name__ == "__main__":
    main()
