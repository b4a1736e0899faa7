"""``rondeau fit``: learn labels, numbers or series from a file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rondeau.cli import chosen
from rondeau.cli.dataset import INPUT, DataSet, columns_of
from rondeau.cli.fit_options import Classify, Forecast, Regress, Tag
from rondeau.cli.jobs import CLASSIFY, REGRESS, TAG, Job
from rondeau.cli.options import given, with_settings
from rondeau.cli.outcome import Command, about
from rondeau.cli.series_job import FORECAST

if TYPE_CHECKING:
    from rondeau.train.declared import Group

app = typer.Typer(help="Learn labels, numbers or series from a file, beside floors that cost nothing.", no_args_is_help=True)

Data = Annotated[
    str, typer.Argument(metavar="DATA", help="CSV, TSV, JSON lines, .ts or CoNLL columns; - for the standard input.")
]
Run = Annotated[Path | None, typer.Option(help="The run folder; runs/DATA if not given.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the run that is there.")]
HeldOut = Annotated[float, typer.Option(help="The part held out to score by; 0 for none.")]
Test = Annotated[Path | None, typer.Option(help="A file to score by, instead of a part of DATA.")]
Seed = Annotated[int, typer.Option(help="Of all randomness.")]
Floors = Annotated[bool, typer.Option("--floors/--no-floors", help="Score what predicts without a network, too.")]
Json = Annotated[bool, typer.Option("--json", help="Print the record and the scores as JSON lines.")]


CLASSIFY_HELP = """Learn a class for each sequence or text.

Example: rondeau fit classify reviews.csv --text review --label sentiment
"""
REGRESS_HELP = """Learn a number for each sequence or text.

Example: rondeau fit regress engines.csv --id engine --time cycle --target life
"""
TAG_HELP = """Learn a class for each step, such as a tag for each word; with --target a number.

The last sequences are held out, since those that follow one another often belong together.

Example: rondeau fit tag sentences.conll
"""


def _of_sequences(job: Job, options: type[Group], doc: str) -> Callable[..., None]:
    """The command that fits an estimator of sequences."""

    def command(
        ctx: typer.Context,
        data: Data,
        run: Run = None,
        overwrite: Overwrite = False,
        held_out: HeldOut = 0.2,
        test: Test = None,
        seed: Seed = 1,
        floors: Floors = True,
        json: Json = False,
    ) -> None:
        values = _in_range(options, given(ctx, options))
        where = _data_set(data, values, held_out, test, seed)
        _fit(job, _parameters(values, options, seed), where, run, overwrite, floors, json)

    command.__doc__ = doc
    return with_settings(options)(command)


app.command("classify", cls=Command)(_of_sequences(CLASSIFY, Classify, CLASSIFY_HELP))
app.command("regress", cls=Command)(_of_sequences(REGRESS, Regress, REGRESS_HELP))
app.command("tag", cls=Command)(_of_sequences(TAG, Tag, TAG_HELP))


@app.command("forecast", cls=Command)
@with_settings(Forecast)
def forecast(
    ctx: typer.Context,
    data: Data,
    run: Run = None,
    overwrite: Overwrite = False,
    held_out: HeldOut = 0.2,
    seed: Seed = 1,
    floors: Floors = True,
    json: Json = False,
) -> None:
    """Learn what comes next in one series or in thousands, so many steps ahead, and how sure that is.

    The last steps of every series are held out, and forecasts from moments among them are scored.

    Example: rondeau fit forecast sales.csv --id shop --time day --target sales --horizon 7
    """
    values = _in_range(Forecast, given(ctx, Forecast))
    where = _data_set(data, values, held_out, None, seed)
    _fit(FORECAST, _parameters(values, Forecast, seed), where, run, overwrite, floors, json)


def _data_set(data: str, options: dict[str, Any], held_out: float, test: Path | None, seed: int) -> DataSet:
    """What the options say of the data.

    Raises:
        InputError: they contradict each other, or a number is out of range.
    """
    from rondeau.errors import InputError

    if not data:
        raise InputError("DATA is empty; give a file, or - for the standard input")
    if not 0 <= held_out < 1:
        raise InputError(f"--held-out lies from 0 up to but not including 1, not {held_out!r}")
    if not 0 <= seed < 1 << 32:
        raise InputError(f"--seed is a whole number from 0 to {(1 << 32) - 1}, not {seed}")
    where = "" if test is None else str(test)
    return DataSet(data, columns_of(options), options.get("format") or "", held_out, where, seed)


def _in_range(options: type[Group], values: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, each in range.

    Raises:
        InputError: one is not.
    """
    for name, value in values.items():
        options.declared()[name].check(name, value)
    return values


def _parameters(values: dict[str, Any], options: type[Group], seed: int) -> dict[str, Any]:
    """The parameters of the estimator among the options that were given."""
    found = {name: value for name, value in values.items() if name not in options.sections["data"].declared()}
    if "cell" in found:
        with about("--cell"):
            cell = chosen.find(found["cell"])
        found["cell"] = cell if chosen.in_file(found["cell"]) else found["cell"]
    if options is Tag and "target" in values:
        found["goal"] = "target"
    return {**found, "random_state": seed}


def _fit(
    job: Job, parameters: dict[str, Any], data: DataSet, run: Path | None, overwrite: bool, floors: bool, as_json: bool
) -> None:
    from rondeau.cli.fitting import begin, conclude
    from rondeau.train import RunFolder

    place = run if run is not None else Path("runs") / _name(data.source)
    RunFolder.vacant(place, overwrite)
    job = job.of(parameters)
    parts = job.parts(data, parameters)
    if not as_json:
        print(parts.describe(), flush=True)
    estimator = begin(job, parameters, data, parts, place, overwrite=overwrite, as_json=as_json)
    conclude(job, estimator, parts, place, floors, as_json)


def _name(source: str) -> str:
    """A name for the run folder, from that of the data."""
    return re.sub(r"[^\w.-]+", "-", "input" if source == INPUT else Path(source).stem).strip("-.") or "data"
