"""``rondeau train``: learn a text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rondeau.cli import chosen, complete
from rondeau.cli.outcome import about
from rondeau.train import Settings

if TYPE_CHECKING:
    from rondeau.ir import Cell

DEFAULT = Settings()
ENDS = ("minutes", "epochs", "steps")
CORPUS = "A file, a folder, a glob pattern, or a name: shakespeare, python. That of --config if not given."


def command(
    ctx: typer.Context,
    corpus: Annotated[
        str | None, typer.Argument(help=CORPUS, show_default=False, autocompletion=complete.corpora, metavar="CORPUS")
    ] = None,
    cell: Annotated[str, typer.Option(help=chosen.HELP, autocompletion=complete.cells)] = DEFAULT.cell,
    hidden: Annotated[int, typer.Option(help="Hidden units of each layer.")] = DEFAULT.hidden,
    size: Annotated[list[str] | None, typer.Option(help=chosen.SIZES, metavar="NAME=NUMBER")] = None,
    layers: Annotated[int, typer.Option(help="Recurrent layers.")] = DEFAULT.layers,
    embedding: Annotated[int, typer.Option(help="Features of a token's embedding; 0: one-hot input.")] = DEFAULT.embedding,
    window: Annotated[int, typer.Option(help="Steps that the gradient goes back through time.")] = DEFAULT.window,
    batch: Annotated[int, typer.Option(help="Streams of text read side by side.")] = DEFAULT.batch,
    minutes: Annotated[float | None, typer.Option(help="Train so long (3 if no end is given).")] = None,
    epochs: Annotated[float | None, typer.Option(help="Train for so many passes over the text.")] = None,
    steps: Annotated[int | None, typer.Option(help="Train for so many windows.")] = None,
    learning_rate: Annotated[float, typer.Option(help="The highest learning rate.")] = DEFAULT.learning_rate,
    schedule: Annotated[str, typer.Option(help="How it falls: cosine, linear or constant.")] = DEFAULT.schedule,
    warmup: Annotated[float, typer.Option(help="The part of the run in which it rises.")] = DEFAULT.warmup,
    weight_decay: Annotated[float, typer.Option(help="Decay of the matrices.")] = DEFAULT.weight_decay,
    clip_norm: Annotated[float | None, typer.Option(help="Bound on the norm of the whole gradient.")] = DEFAULT.clip_norm,
    clip_value: Annotated[float | None, typer.Option(help="Bound on each element of the parameters' gradient.")] = None,
    clip_step: Annotated[float | None, typer.Option(help="Bound on each element that flows back, at every step.")] = None,
    dropout: Annotated[float, typer.Option(help="Rate after embedding, between layers, before softmax.")] = DEFAULT.dropout,
    tied: Annotated[bool, typer.Option("--tied", help="Use the embedding's weights in the softmax.")] = DEFAULT.tied,
    tokenizer: Annotated[str, typer.Option(help="characters, bytes or words.")] = DEFAULT.tokenizer,
    vocabulary: Annotated[int | None, typer.Option(help="For words: the size of the vocabulary.")] = None,
    held_out: Annotated[float, typer.Option(help="The last part of the text, kept for evaluation.")] = DEFAULT.held_out,
    patience: Annotated[int | None, typer.Option(help="Stop after so many evaluations without progress.")] = None,
    seed: Annotated[int, typer.Option(help="Of all randomness.")] = DEFAULT.seed,
    threads: Annotated[int | None, typer.Option(help="Processor threads.")] = None,
    save_every: Annotated[
        float, typer.Option(help="The longest time between two checkpoints, in seconds.")
    ] = DEFAULT.save_every,
    backend: Annotated[str, typer.Option(help="auto, or a backend of rondeau.scan.")] = DEFAULT.backend,
    encoding: Annotated[str, typer.Option(help="Of the text files.")] = DEFAULT.encoding,
    config: Annotated[Path | None, typer.Option(help="A TOML file with settings, under the options given here.")] = None,
    run: Annotated[Path | None, typer.Option(help="The run folder; runs/CORPUS if not given.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that is there.")] = False,
    baselines: Annotated[bool, typer.Option("--baselines/--no-baselines", help="Hold n-gram models against it.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print the record as JSON lines.")] = False,
) -> None:
    """Learn a text: trains a network on CORPUS, saves it in a run folder, and holds it against n-gram models.

    Example: rondeau train shakespeare --cell peephole_lstm --minutes 5
    """
    settings = _settings(_given(ctx), config)
    cell_of_file = _cell(ctx, settings, config)
    from rondeau.cli.watch import watch
    from rondeau.train import start

    place = run if run is not None else Path("runs") / _name(settings.corpus)
    watch(start(settings, cell=cell_of_file, folder=place, overwrite=overwrite), json, baselines)


def _given(ctx: typer.Context) -> dict[str, Any]:
    """The settings that the command line gives, by name."""
    names = [name for name in vars(DEFAULT) if name in ctx.params]
    given = {name: ctx.params[name] for name in names if _is_given(ctx, name)}
    sizes = chosen.sizes(ctx.params["size"])
    return {**given, "sizes": sizes} if sizes else given


def _is_given(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _settings(given: dict[str, Any], config: Path | None) -> Settings:
    """The settings of the file, under those of the command line."""
    from rondeau.errors import InputError

    if given.get("corpus") == "":
        raise InputError("CORPUS is empty; give a file, a folder, a glob pattern, or a name: shakespeare, python")
    below = {} if config is None else _read(config)
    if "corpus" not in {**below, **given}:
        where = "" if config is None else f", which {config} does not name"
        raise InputError(f"give a CORPUS{where}: a file, a folder, a glob pattern, or a name such as shakespeare")
    ends = [name for name in ENDS if name in given]
    if len(ends) > 1:
        raise InputError(f"--{ends[0]} and --{ends[1]} both say when to end; give one of {', '.join(f'--{e}' for e in ENDS)}")
    out_of_place = (*(ENDS if ends else ()), *(("sizes",) if "cell" in given else ()))
    below = {name: value for name, value in below.items() if name not in out_of_place}
    return Settings.of({**below, **given}).checked()


def _read(config: Path) -> dict[str, Any]:
    """The settings in a TOML file, each sound in itself."""
    from rondeau.errors import InputError

    with about("--config"):
        try:
            if config.exists() and not config.is_file():
                raise InputError(f"{config} is not a file; give a TOML file, such as the config.toml of a run folder")
            values = Settings.toml(config.read_text(encoding="utf-8"), str(config))
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
        if own and not _is_given(ctx, "cell"):
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
