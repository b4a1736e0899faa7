"""``rondeau train``: learn a text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rondeau.cli import chosen
from rondeau.cli.options import given, is_given, with_settings
from rondeau.cli.outcome import about
from rondeau.train.settings import ENDS, Settings

if TYPE_CHECKING:
    from rondeau.ir import Cell
OWN = {"cell": "sizes", "optimizer": "optimizer_options", "schedule": "schedule_options"}
"""Settings that belong to another: those of the file are left out where the command line chooses another one."""


@with_settings(Settings, argument="corpus")
def command(
    ctx: typer.Context,
    config: Annotated[Path | None, typer.Option(help="A TOML file with settings, under the options given here.")] = None,
    run: Annotated[Path | None, typer.Option(help="The run folder; runs/CORPUS if not given.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that is there.")] = False,
    baselines: Annotated[bool, typer.Option("--baselines/--no-baselines", help="Compare with n-gram models.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print the record as JSON lines.")] = False,
) -> None:
    """Learn a text: trains a network on CORPUS, saves it in a run folder, and compares it with n-gram models.

    Example: rondeau train shakespeare --cell peephole_lstm --minutes 5
    """
    settings = _settings(given(ctx, Settings), config)
    cell_of_file = _cell(ctx, settings, config)
    from rondeau.cli.learn import learn
    from rondeau.train import start

    place = run if run is not None else Path("runs") / _name(settings.corpus)
    learn(start(settings, cell=cell_of_file, folder=place, overwrite=overwrite), json, baselines)


def _settings(options: dict[str, Any], config: Path | None) -> Settings:
    """The settings of the file, under those of the command line."""
    from rondeau.errors import InputError

    if options.get("corpus") == "":
        raise InputError("CORPUS is empty; give a file, a folder, a glob pattern, or a name: shakespeare, python")
    below = {} if config is None else _read(config)
    if "corpus" not in {**below, **options}:
        where = "" if config is None else f", which {config} does not name"
        raise InputError(f"give a CORPUS{where}: a file, a folder, a glob pattern, or a name such as shakespeare")
    ends = [name for name in ENDS if name in options]
    if len(ends) > 1:
        raise InputError(f"--{ends[0]} and --{ends[1]} both say when to end; give one of {', '.join(f'--{e}' for e in ENDS)}")
    out_of_place = [*(ENDS if ends else ()), *(own for method, own in OWN.items() if method in options)]
    below = {name: value for name, value in below.items() if name not in out_of_place}
    return Settings.of({**below, **options}).checked()


def _read(config: Path) -> dict[str, Any]:
    """The settings in a TOML file, each sound in itself."""
    from rondeau.errors import InputError

    with about("--config"):
        try:
            if config.exists() and not config.is_file():
                raise InputError(f"{config} is not a file; give a TOML file, such as the config.toml of a run folder")
            values = Settings.flat(Settings.toml(config.read_text(encoding="utf-8"), str(config)))
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{config} cannot be read: {reason}; give a TOML file with settings") from error
    with about(f"--config {config}"):
        Settings.of(values).checked()
    return values


def _cell(ctx: typer.Context, settings: Settings, config: Path | None) -> Cell | None:
    """The cell from the user's own file, if that is what the settings say; only the command line can make its code run."""
    from rondeau.errors import InputError

    with about("--cell"):
        own = chosen.in_file(settings.cell)
        if own and not is_given(ctx, "cell"):
            raise InputError(
                f"{config} takes its cell from a file, whose code runs only when you say so: add --cell {settings.cell}"
            )
        found = chosen.find(settings.cell)
    chosen.every_size(found, 1, settings.hidden, settings.sizes)
    return found if own else None


def _name(corpus: str) -> str:
    """A name for the run folder, from that of the corpus."""
    path = Path(corpus)
    stem = path.resolve().name if path.name in ("", "..") else path.stem
    return re.sub(r"[^\w.-]+", "-", stem).strip("-.") or "text"
