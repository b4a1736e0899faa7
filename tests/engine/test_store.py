"""The cache of kernels on disk: what others wrote is never run, and what is damaged is built anew."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rondeau.engine.llvm import build, store
from rondeau.engine.llvm.processors import host_processor

posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="this system knows no owners and modes")
KEY, OTHER = "a" * 64, "b" * 64
CODE = bytes(range(256)) * 40


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Iterator[Path]:
    monkeypatch.setenv("RONDEAU_CACHE", str(tmp_path / "chosen"))
    monkeypatch.setattr(store, "_written", 0)
    yield tmp_path / "chosen" / "kernels"


def test_what_is_written_is_read(folder) -> None:
    assert store.read(KEY) is None and not folder.exists()
    store.write(KEY, CODE)
    store.write(OTHER, CODE[::-1])
    assert store.read(KEY) == CODE and store.read(OTHER) == CODE[::-1]
    assert sorted(path.name for path in folder.iterdir()) == sorted([f"{KEY}.o", f"{OTHER}.o", "secret"])


@posix
def test_only_the_user_may_look_in(folder) -> None:
    before = os.umask(0)
    try:
        store.write(KEY, CODE)
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


@posix
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o750, 0o701])
def test_a_folder_open_to_others_is_no_cache(folder, mode: int) -> None:
    store.write(KEY, CODE)
    folder.chmod(mode)
    assert store.read(KEY) is None
    store.write(OTHER, CODE)
    assert not (folder / f"{OTHER}.o").exists()


@posix
@pytest.mark.parametrize("name", [f"{KEY}.o", "secret", ""])
def test_what_belongs_to_another_is_not_read(folder, name: str, monkeypatch) -> None:
    store.write(KEY, CODE)
    theirs, fstat = (folder / name).stat().st_ino, os.fstat

    def foreign(descriptor: int) -> os.stat_result:
        status = fstat(descriptor)
        return os.stat_result((*status[:4], status.st_uid + 1, *status[5:])) if status.st_ino == theirs else status

    monkeypatch.setattr(store.os, "fstat", foreign)
    assert store.read(KEY) is None


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("name", [f"{KEY}.o", "secret", ""])
def test_what_was_given_away_is_not_read(folder, name: str) -> None:
    store.write(KEY, CODE)
    os.chown(folder / name, 12345, 12345)
    assert store.read(KEY) is None
    store.write(KEY, CODE)
    assert (store.read(KEY) == CODE) == bool(name)


def flipped(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def link(file: Path) -> None:
    shutil.copyfile(file, file.with_suffix(".elsewhere"))
    os.chmod(file.with_suffix(".elsewhere"), 0o600)
    file.unlink()
    file.symlink_to(file.with_suffix(".elsewhere"))


def hard_link(file: Path) -> None:
    os.link(file, file.with_suffix(".second"))


def endless(file: Path) -> None:
    file.unlink()
    file.symlink_to("/dev/zero")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_bytes(b""),
    "short": lambda file: file.write_bytes(file.read_bytes()[:7]),
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-7]),
    "longer": lambda file: file.write_bytes(file.read_bytes() + b"1234567"),
    "flipped": flipped,
    "gone": lambda file: file.unlink(),
}
POSIX_DAMAGE: dict[str, Callable[[Path], object]] = {
    "open to others": lambda file: file.chmod(0o666),
    "fifo": fifo,
    "link": link,
    "second name": hard_link,
    "endless": endless,
}
if hasattr(os, "geteuid"):
    DAMAGE |= POSIX_DAMAGE


@pytest.mark.parametrize("name", [f"{KEY}.o", "secret"])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=list(DAMAGE))
def test_a_damaged_file_is_built_anew(folder, damage: Callable[[Path], object], name: str) -> None:
    store.write(KEY, CODE)
    damage(folder / name)
    assert store.read(KEY) is None
    store.write(KEY, CODE)
    assert store.read(KEY) == CODE


def test_a_folder_in_the_place_of_a_file_is_done_without(folder) -> None:
    store.write(KEY, CODE)
    for name in (f"{KEY}.o", "secret"):
        (folder / name).unlink()
        (folder / name).mkdir()
        assert store.read(KEY) is None
        store.write(KEY, CODE)
        assert store.read(KEY) is None
        (folder / name).rmdir()
    store.write(KEY, CODE)
    assert store.read(KEY) == CODE


def test_files_under_other_keys_are_none(folder) -> None:
    store.write(KEY, CODE)
    store.write(OTHER, CODE[::-1])
    first, second = (folder / f"{KEY}.o").read_bytes(), (folder / f"{OTHER}.o").read_bytes()
    (folder / f"{KEY}.o").write_bytes(second)
    (folder / f"{OTHER}.o").write_bytes(first)
    assert store.read(KEY) is None and store.read(OTHER) is None


def test_files_of_another_cache_are_none(folder) -> None:
    store.write(KEY, CODE)
    data = (folder / f"{KEY}.o").read_bytes()
    (folder / "secret").unlink()
    store.write(OTHER, CODE)
    (folder / f"{KEY}.o").write_bytes(data)
    assert store.read(KEY) is None and store.read(OTHER) == CODE


@posix
def test_a_link_in_the_place_of_the_folder_is_no_cache(folder, tmp_path) -> None:
    store.write(KEY, CODE)
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    assert store.read(KEY) is None


@posix
def test_nothing_is_reached_by_name_after_the_folder_was_checked(folder, tmp_path, monkeypatch) -> None:
    """Another user who may write to the folder above puts a folder of their own in the place, between check and use."""
    store.write(KEY, CODE)
    theirs = tmp_path / "theirs"
    shutil.copytree(folder, theirs)
    (theirs / "secret").write_bytes(bytes(32))
    (theirs / f"{KEY}.o").write_bytes(store._digest(bytes(32), KEY, b"theirs") + b"theirs")
    own = store._own

    def swap(status: os.stat_result) -> bool:
        if theirs.exists():
            folder.rename(tmp_path / "aside")
            theirs.rename(folder)
        return own(status)

    monkeypatch.setattr(store, "_own", swap)
    assert store.read(KEY) == CODE


# where


@posix
def test_where_the_folder_is(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("RONDEAU_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    own = tmp_path / ".cache" / "rondeau" / "kernels"
    for given in ("", "relative/folder", ".", "~/x"):
        monkeypatch.setenv("XDG_CACHE_HOME", given)
        assert store.cache_folder() == own
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert store.cache_folder() == tmp_path / "xdg" / "rondeau" / "kernels"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert store.cache_folder() == own
    for home in ("", "relative"):
        monkeypatch.setenv("HOME", home)
        assert store.cache_folder() is None
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "darwin")
    assert store.cache_folder() == tmp_path / "Library/Caches/rondeau/kernels"
    monkeypatch.setenv("RONDEAU_CACHE", "")
    assert store.cache_folder() == tmp_path / "Library/Caches/rondeau/kernels"
    monkeypatch.setenv("RONDEAU_CACHE", str(tmp_path / "chosen"))
    assert store.cache_folder() == tmp_path / "chosen" / "kernels"


def test_the_folder_on_windows(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delenv("RONDEAU_CACHE", raising=False)
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert store.cache_folder() == tmp_path / "rondeau" / "kernels"
    for given in ("", "relative"):
        monkeypatch.setenv("LOCALAPPDATA", given)
        assert store.cache_folder() is None


@pytest.mark.parametrize("damage", [None, "cut", "gone"])
def test_where_folders_have_no_descriptors(folder, damage: str | None, monkeypatch) -> None:
    monkeypatch.setattr(store, "_BY_DESCRIPTOR", False)
    monkeypatch.delattr(store.os, "geteuid", raising=False)
    store.write(KEY, CODE)
    if damage:
        DAMAGE[damage](folder / f"{KEY}.o")
    assert store.read(KEY) == (None if damage else CODE)
    store._written = 0
    store.write(KEY, CODE)
    assert store.read(KEY) == CODE


RUN = """
import os, torch
from rondeau import cells
from rondeau.nn import Recurrent
print(Recurrent(cells.gru(), 3, 5)(torch.ones(1, 2, 3))[0].shape, sorted(os.listdir(".")))
"""


def home_less(tmp_path: Path, **environment: str | None) -> str:
    """What a run prints in an empty folder, in an environment."""
    changed = {**os.environ, "RONDEAU_CACHE": None, "XDG_CACHE_HOME": None, **environment}
    place = tmp_path / "work"
    place.mkdir(exist_ok=True)
    known = {name: value for name, value in changed.items() if value is not None}
    known["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(store.__file__).parents[2]), os.environ.get("PYTHONPATH")]))
    done = subprocess.run([sys.executable, "-c", RUN], cwd=place, env=known, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout


@posix
@pytest.mark.parametrize("home", ["", "relative", "/dev/null", "/proc/nowhere", "/nonexistent"])
def test_runs_do_without_a_home(home: str, tmp_path) -> None:
    assert home_less(tmp_path, HOME=home) == "torch.Size([1, 2, 5]) []\n"


@posix
def test_an_empty_setting_makes_no_cache_in_the_current_folder(tmp_path) -> None:
    assert home_less(tmp_path, HOME=str(tmp_path), XDG_CACHE_HOME="") == "torch.Size([1, 2, 5]) []\n"
    assert len(list((tmp_path / ".cache" / "rondeau" / "kernels").glob("*.o"))) == 1


@posix
def test_a_user_without_an_entry_has_no_folder(monkeypatch) -> None:
    def missing() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("RONDEAU_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(store.Path, "home", missing)
    assert store.cache_folder() is None and store.read(KEY) is None
    store.write(KEY, CODE)


# room


def test_what_a_killed_process_left_is_cleared_away(folder) -> None:
    store.write(KEY, CODE)
    old, new = folder / f"{OTHER}.o.1.x.tmp", folder / f"{OTHER}.o.2.y.tmp"
    for file, age in ((old, 2 * store.STALE), (new, 0)):
        file.write_bytes(b"half")
        os.utime(file, (time.time() - age,) * 2)
    store._written = 0
    store.write(OTHER, CODE)
    assert not old.exists() and new.exists()


def test_a_full_disk_leaves_nothing(folder, monkeypatch) -> None:
    store.write(KEY, CODE)
    before = sorted(folder.iterdir())
    fdopen = os.fdopen

    def full(descriptor: int, mode: str):
        opened = fdopen(descriptor, mode)
        if mode != "wb":
            return opened
        opened.close()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.os, "fdopen", full)
    store.write(OTHER, CODE)
    assert sorted(folder.iterdir()) == before


def test_the_kernels_read_least_recently_go_first(folder, monkeypatch) -> None:
    names = [f"{k:064d}" for k in range(8)]
    monkeypatch.setattr(store, "LIMIT", 5 * (len(CODE) + store.BYTES))
    for age, name in enumerate(names[:7]):
        store.write(name, CODE)
        os.utime(folder / f"{name}.o", (time.time() - 100 + age,) * 2)
    assert store.read(names[1]) == CODE
    store._written = 0
    store.write(names[7], CODE)
    assert [name for name in names if (folder / f"{name}.o").exists()] == [names[k] for k in (1, 4, 5, 6, 7)]


def test_a_kernel_larger_than_any_is_not_kept(folder, monkeypatch) -> None:
    monkeypatch.setattr(store, "LARGEST", 100)
    store.write(KEY, CODE)
    assert not folder.exists()


def _many(path: str, first: int) -> None:
    os.environ["RONDEAU_CACHE"] = path
    for k in range(20):
        store.write(f"{(first + k) % 10:064d}", CODE)
        found = store.read(f"{k % 10:064d}")
        assert found in (None, CODE)


def test_processes_and_threads_write_side_by_side(folder, tmp_path) -> None:
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=_many, args=(str(folder.parent), k)) for k in range(3)]
    for child in children:
        child.start()
    workers = [threading.Thread(target=_many, args=(str(folder.parent), k)) for k in range(4)]
    for worker in workers:
        worker.start()
    for worker in [*workers, *children]:
        worker.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert not list(folder.glob("*.tmp"))
    store.write(KEY, CODE)
    assert store.read(KEY) == CODE


# with kernels


TEXT = """
define void @parallel(ptr %args) nounwind { ret void }
define void @serial(ptr %args) nounwind { ret void }
define void @pack(ptr %args, i64 %a, i64 %b) nounwind { ret void }
define void @part(ptr %args, i64 %a, i64 %b, i64 %c) nounwind { ret void }
"""


def test_a_kernel_is_built_once_and_then_read(folder, monkeypatch) -> None:
    built: list[str] = []
    whole, host = build.compile_object, host_processor()
    monkeypatch.setattr(build, "compile_object", lambda text, processor: built.append(text) or whole(text, processor))
    for expected in (1, 1):
        kernel = build.build(TEXT, host)
        assert build.build(TEXT, host) is kernel and len(built) == expected
        del kernel
        assert build._key(TEXT, host) not in build._built  # nothing holds it, so it is let go
    flipped(next(folder.glob("*.o")))
    build.build(TEXT, host).serial(0)  # the function alone holds the code
    assert len(built) == 2
