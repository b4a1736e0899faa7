"""Runs from settings and from folders: starting, resuming and loading one."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from rondeau.cells import get
from rondeau.data import Text, Tokenizer, hold_out, load_text, tokenizer
from rondeau.errors import DataError, RunError, RunWarning
from rondeau.ir import Cell, from_json, to_json
from rondeau.train import building, kinds
from rondeau.train.devices import device, use_seed, use_threads
from rondeau.train.folder import RunFolder
from rondeau.train.keeping import SavedRun, open_run
from rondeau.train.manifest import Facts, Fingerprint
from rondeau.train.run import Run
from rondeau.train.settings import Settings
from rondeau.train.weights import put_weights

READ_AGAIN = 1 << 26  # bytes of licences and the like that a corpus may have beside 64 a token


def start(
    settings: Settings,
    text: Text | None = None,
    *,
    cell: Cell | None = None,
    folder: str | Path | None = None,
    overwrite: bool = False,
) -> Run:
    """A new run, ready to `Run.fit`.

    Args:
        settings: all that decides the run.
        text: the corpus; read from ``settings.corpus`` if not given. The run's settings then say where it came from.
        cell: a cell of one's own; that of ``settings.cell`` if not given.
        folder: where to keep it; nowhere if not given.
        overwrite: whether a run that is there may be replaced.

    Raises:
        InputError, DataError, RunError: settings, text or folder are not sound, or the folder is in use.

    Example:
        >>> from rondeau.data import Text
        >>> tiny = Settings(hidden=8, embedding=4, batch=2, window=5, steps=3)
        >>> run = start(tiny, Text.of("to be or not to be " * 20)).fit()
        >>> run.training.progress.step, run.settings.corpus
        (3, '<text>')
    """
    settings = settings.checked()
    device(settings.device)  # refused before anything is read
    if folder is not None:
        RunFolder.vacant(folder, overwrite)
    corpus = load_text(settings.corpus, settings.encoding) if text is None else text
    run = _new(settings, corpus, cell)
    if folder is not None:
        run.create(folder, _texts(run), overwrite)
    return run


def _new(settings: Settings, corpus: Text, cell: Cell | None) -> Run:
    """A run on sound settings, without a folder."""
    chosen = cell or get(settings.cell)
    settings = replace(
        settings,
        corpus=corpus.source or f"<{corpus.name}>",
        encoding=corpus.encoding,
        cell=settings.cell if cell is None or ":" in settings.cell else chosen.name,
    )
    words = tokenizer(settings.tokenizer, corpus.text, settings.vocabulary)
    train, held = hold_out(words.encode(corpus.text), settings.held_out)
    use_threads(settings.threads)
    use_seed(settings.seed)
    building.check_memory(settings, chosen, words)
    model = building.language_model(settings, chosen, words)
    training = building.training(model, words, train, held, settings)
    if settings.backend != "auto":
        building.try_out(model, train.to(device(settings.device)))
    facts = Facts(torch=torch.__version__, threads=torch.get_num_threads(), corpus=_fingerprint(train, held))
    return Run(
        model=model,
        settings=settings,
        tokenizer=words,
        cell=chosen,
        training=training,
        train=train,
        held=held,
        facts=facts,
    )


def _texts(run: Run) -> dict[str, str]:
    """What a folder says of its run, by the names of the files."""
    return {
        kinds.NAME: kinds.LANGUAGE_MODEL.to_json(),
        kinds.CONFIG: run.settings.to_toml(),
        "cell.json": to_json(run.cell),
        "tokenizer.json": run.tokenizer.to_json(),
    }


def resume(
    folder: str | Path,
    corpus: Text | str | Path | None = None,
    *,
    minutes: float | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    learning_rate: float | None = None,
) -> Run:
    """The run in ``folder``, where it was last saved, ready to `Run.fit`; on as many threads as it was started with.

    With ``steps`` or ``epochs`` it ends with the very weights of a run that was never interrupted. With ``minutes`` the
    learning rate follows the clock, whose recorded time goes on, so it ends alike but not bit for bit. A run that has ended
    stays as it is, unless more is asked for.

    Args:
        folder: the run folder.
        corpus: the text that it learns, or where to read it; read as ``config.toml`` says if not given. A run that was
            started on a text made in Python needs it again.
        minutes, epochs, steps: go on for so much more, counted from where the run was last saved. The learning rate's
            warm-up and schedule, and the patience, begin anew and span what is asked for.
        learning_rate: the highest one from here on; without an end, the run keeps its end and its schedule.

    Raises:
        RunError: the folder is not sound or in use, the corpus is another one, or the run has ended and only a learning rate
            is given.
        InputError: a number is out of range, or more than one end is given.
    """
    place = RunFolder.open(folder)
    place.claim()
    try:
        place.settle()
        return _resumed(place, corpus, {"minutes": minutes, "epochs": epochs, "steps": steps, "learning_rate": learning_rate})
    except BaseException:
        place.release()
        raise


def _resumed(place: RunFolder, corpus: Text | str | Path | None, more: dict[str, float | None]) -> Run:
    found = place.read(("model", "state"))
    kinds.LANGUAGE_MODEL.check(found.texts, place.path)
    run = _loaded(SavedRun(place, found, kinds.LANGUAGE_MODEL))
    text = _corpus(run, corpus)
    try:
        run.train, run.held = hold_out(run.tokenizer.encode(text.text), run.settings.held_out)
    except DataError as error:
        raise RunError(f"{text.name} is not the text that this run learned: {error}") from error
    _same(run, text)
    use_threads(run.facts.threads or run.settings.threads)
    use_seed(run.settings.seed)  # until the state of the random numbers is read
    run.facts = replace(run.facts, threads=torch.get_num_threads())
    run.training = building.training(run.model, run.tokenizer, run.train, run.held, run.settings)
    run.go_on(found, more)
    return run


def load(folder: str | Path) -> Run:
    """The model in ``folder``, to sample from and to evaluate, on the processor wherever it was trained.

    Raises:
        RunError: the folder is not sound.
    """
    return _loaded(open_run(folder, kinds.LANGUAGE_MODEL))


def _loaded(saved: SavedRun) -> Run:
    settings = saved.settings
    assert isinstance(settings, Settings)
    chosen, words = from_json(saved.texts["cell.json"]), Tokenizer.from_json(saved.texts["tokenizer.json"])
    building.check_file(saved.checkpoint.parts["model"], settings, chosen, words)
    model = building.language_model(settings, chosen, words)
    tensors = saved.checkpoint.tensors("model")
    if settings.tied:
        tensors.pop("head.weight", None)  # format 1 had it twice
    put_weights(model, tensors)
    return Run(model=model, settings=settings, tokenizer=words, cell=chosen, folder=saved.folder, facts=saved.facts)


def _corpus(run: Run, given: Text | str | Path | None) -> Text:
    if isinstance(given, Text):
        return given
    name = run.settings.corpus
    if given is None and name.startswith("<") and name.endswith(">"):
        assert run.folder is not None
        raise RunError(
            f"this run learns a text that was made in Python, {name}; go on with it there: "
            f"rondeau.train.resume({str(run.folder.path)!r}, corpus=Text.of(...))"
        )
    most = None if run.facts.corpus is None else READ_AGAIN + 64 * run.facts.corpus.tokens
    return load_text(given or name, run.settings.encoding, most)


def _same(run: Run, text: Text) -> None:
    """Refuses another text than the run has learned, so that nothing held out is ever learned."""
    assert run.train is not None and run.held is not None
    kept, advice = run.facts.corpus, "give the one that it learned, or train a new one"
    if kept is None:
        if tokenizer(run.settings.tokenizer, text.text, run.settings.vocabulary).to_json() != run.tokenizer.to_json():
            raise RunError(f"{text.name} is not the text that this run learned: its alphabet is another; {advice}")
        said = "it was saved by a version that kept no digest of its corpus, so make sure yourself that it is unchanged"
        warnings.warn(f"{text.name}: {said}", RunWarning, stacklevel=4)
        run.facts = replace(run.facts, corpus=_fingerprint(run.train, run.held))
    elif kept != _fingerprint(run.train, run.held):
        tokens = len(run.train) + len(run.held)
        what = f"it has {tokens:,} tokens, not {kept.tokens:,}" if tokens != kept.tokens else "it was changed since"
        raise RunError(f"{text.name} is not the text that this run learned: {what}; {advice}")


def _fingerprint(train: Tensor, held: Tensor) -> Fingerprint:
    made = hashlib.sha256()
    for part in (train, held):
        made.update(part.contiguous().numpy().data.cast("B"))
    return Fingerprint(len(train) + len(held), len(train), made.hexdigest())
