"""``rondeau train``: learn a text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

Text = Annotated[str, typer.Argument(help="A file, a folder, a glob pattern, or a name: shakespeare, python.")]


def command(
    corpus: Text,
    cell: Annotated[str | None, typer.Option(help="The recurrent cell, a name from `rondeau cells`.")] = None,
    hidden: Annotated[int | None, typer.Option(help="Hidden units of each layer.")] = None,
    layers: Annotated[int | None, typer.Option(help="Recurrent layers.")] = None,
    embedding: Annotated[int | None, typer.Option(help="Features of a token's embedding; 0: one-hot input.")] = None,
    window: Annotated[int | None, typer.Option(help="Steps that the gradient goes back through time.")] = None,
    batch: Annotated[int | None, typer.Option(help="Strands of text read side by side.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Train so long (3 if no end is given).")] = None,
    epochs: Annotated[float | None, typer.Option(help="Train for so many passes over the text.")] = None,
    steps: Annotated[int | None, typer.Option(help="Train for so many windows.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The highest learning rate.")] = None,
    schedule: Annotated[str | None, typer.Option(help="How it falls: cosine, linear or constant.")] = None,
    warmup: Annotated[float | None, typer.Option(help="The part of the run in which it rises.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Decay of the matrices.")] = None,
    clip_norm: Annotated[float | None, typer.Option(help="Bound on the norm of the whole gradient.")] = None,
    clip_value: Annotated[float | None, typer.Option(help="Bound on each element of the parameters' gradient.")] = None,
    clip_step: Annotated[float | None, typer.Option(help="Bound on each element that flows back, at every step.")] = None,
    dropout: Annotated[float | None, typer.Option(help="Rate after the embedding, between layers, before the softmax.")] = None,
    tied: Annotated[bool | None, typer.Option("--tied", help="Use the embedding's weights in the softmax.")] = None,
    tokenizer: Annotated[str | None, typer.Option(help="characters, bytes or words.")] = None,
    vocabulary: Annotated[int | None, typer.Option(help="For words: the size of the vocabulary.")] = None,
    held_out: Annotated[float | None, typer.Option(help="The last part of the text, kept for evaluation.")] = None,
    patience: Annotated[int | None, typer.Option(help="Stop after so many evaluations without progress.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of all randomness.")] = None,
    threads: Annotated[int | None, typer.Option(help="Processor threads.")] = None,
    save_every: Annotated[float | None, typer.Option(help="The longest time between two checkpoints, in seconds.")] = None,
    backend: Annotated[str | None, typer.Option(help="auto, or a backend of rondeau.scan.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Of the text files.")] = None,
    config: Annotated[Path | None, typer.Option(help="A TOML file with settings, under the options given here.")] = None,
    run: Annotated[Path | None, typer.Option(help="The run folder; runs/CORPUS if not given.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run that is there.")] = False,
    baselines: Annotated[bool, typer.Option("--baselines/--no-baselines", help="Hold n-gram models against it.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print the record as JSON lines.")] = False,
) -> None:
    """Learn a text: trains a network on CORPUS, saves it in a run folder, and holds it against n-gram models.

    Example: rondeau train shakespeare --cell peephole_lstm --minutes 5
    """
    given = {
        k: v for k, v in locals().items() if v is not None and k not in ("config", "run", "overwrite", "baselines", "json")
    }
    from rondeau.cli.watch import watch
    from rondeau.train import start

    settings = _settings(given, config)
    made = start(settings, folder=run or Path("runs") / (Path(corpus).stem or "text"), overwrite=overwrite)
    watch(made, json, baselines)


def _settings(given: dict[str, Any], config: Path | None) -> Any:
    from rondeau.errors import InputError
    from rondeau.train import Settings

    below: dict[str, Any] = {}
    if config is not None:
        try:
            below = Settings.toml(config.read_text(encoding="utf-8"), str(config))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"the configuration {config} cannot be read: {error}") from error
    ends = ("minutes", "epochs", "steps")
    if any(name in given for name in ends):
        below = {name: value for name, value in below.items() if name not in ends}
    return Settings.of({**below, **given}).checked()
