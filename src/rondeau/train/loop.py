"""The training loop: windows along contiguous streams, truncated backpropagation through time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from rondeau.data import Streams
from rondeau.errors import InputError, RunError
from rondeau.models.language_model import LanguageModel, detached
from rondeau.nn import Recurrent
from rondeau.train.record import Record, Row, bits
from rondeau.train.settings import Settings

EVALUATIONS = 6
SPEED_OVER = 1.0  # seconds between two rows of the record


@dataclass
class Progress:
    """How far a run is."""

    step: int = 0
    seconds: float = 0.0
    best: float = math.inf
    worse: int = 0


class Training:
    """One run in progress: model, optimizer, streams, carried state and record.

    Args:
        model: what learns.
        train: tokens to learn from, (tokens,).
        held: tokens to evaluate on, (tokens,), or None.
        settings: how.
        record: where rows go.

    Raises:
        DataError: the text is too short for batch and window.
    """

    def __init__(
        self, model: LanguageModel, train: Tensor, held: Tensor | None, settings: Settings, record: Record | None = None
    ) -> None:
        self.settings = settings.checked()
        self.model, self.held = model, held
        self.record = record or Record()
        self.streams = Streams(train, settings.batch, settings.window)
        self.optimizer = torch.optim.AdamW(
            _groups(model, settings.weight_decay), lr=settings.learning_rate, betas=(0.9, 0.99), fused=True
        )
        self.progress = Progress()
        self.state: Any = None
        self.stopping = False
        self.best: dict[str, Tensor] | None = None
        for module in model.modules():
            if isinstance(module, Recurrent):
                module.clip = settings.clip_step

    # how far

    @property
    def total(self) -> int | None:
        """The number of steps of the whole run, when that is settled beforehand."""
        s = self.settings
        return s.steps if s.steps is not None else None if s.epochs is None else math.ceil(s.epochs * self.streams.windows)

    @property
    def done(self) -> float:
        """The part of the run that lies behind, 0 to 1: by steps, or by the clock for ``minutes``."""
        if self.total is not None:
            return min(self.progress.step / self.total, 1.0)
        assert self.settings.minutes is not None
        return min(self.progress.seconds / (60 * self.settings.minutes), 1.0)

    def rate(self) -> float:
        """The learning rate now: a linear warm-up, then the schedule."""
        s, done = self.settings, self.done
        if done < s.warmup:
            return s.learning_rate * max(done / s.warmup, 0.01)
        rest = (done - s.warmup) / max(1 - s.warmup, 1e-9)
        factor = {"constant": 1.0, "linear": 1 - rest, "cosine": 0.5 * (1 + math.cos(math.pi * min(rest, 1.0)))}[s.schedule]
        return s.learning_rate * max(factor, 0.01)

    # running

    def run(self, each: Callable[[Row], None] | None = None, save: Callable[[], None] | None = None) -> None:
        """Trains to the end, or until ``stopping`` is set.

        Args:
            each: sees every new row of the record.
            save: called at every evaluation and at the end.

        Raises:
            RunError: the loss is no longer a number.
        """
        tell = each or (lambda row: None)
        keep = save or (lambda: None)
        since, tokens, losses = time.perf_counter(), 0, []
        next_evaluation = self._next_evaluation()
        while self.done < 1 and not self.stopping:
            begun = time.perf_counter()
            loss, norm, count = self.step()
            losses.append(loss)
            tokens += count
            now = time.perf_counter()
            self.progress.seconds += now - begun
            if now - since >= SPEED_OVER or self.done >= 1:
                tell(self._row(losses, norm, tokens / (now - since)))
                since, tokens, losses = now, 0, []
            if self.held is not None and self.done >= next_evaluation and self.done < 1:
                begun = time.perf_counter()
                tell(self.evaluation())
                keep()
                next_evaluation = self._next_evaluation()
                self.progress.seconds += time.perf_counter() - begun
                since = time.perf_counter()
        if self.held is not None and not self.stopping:
            tell(self.evaluation())
            if self.best is not None:
                self.model.load_state_dict(self.best)
        keep()

    def _next_evaluation(self) -> float:
        return (math.floor(self.done * EVALUATIONS + 1e-9) + 1) / EVALUATIONS

    def step(self) -> tuple[float, float, int]:
        """One window forward, backward and an update: the loss in nats, the gradient's norm, the number of tokens.

        Raises:
            RunError: the loss is not a number.
        """
        settings, window = self.settings, self.streams.next()
        if window.start:
            self.state = None
        logits, state = self.model(window.inputs, self.state)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), window.targets.flatten())
        value = loss.item()
        if not math.isfinite(value):
            raise RunError(
                f"the loss is {value} at step {self.progress.step + 1}; the last saved state is sound. "
                "Lower --learning-rate, or clip with --clip-norm or --clip-step"
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if settings.clip_value is not None:
            nn.utils.clip_grad_value_(self.model.parameters(), settings.clip_value)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip_norm or math.inf)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        self.optimizer.step()
        self.state = detached(state)
        self.progress.step += 1
        return value, float(norm), window.targets.numel()

    def _row(self, losses: list[float], norm: float, speed: float) -> Row:
        loss = sum(losses) / len(losses)
        return self.record.add(
            step=self.progress.step,
            epoch=self.streams.epoch,
            seconds=round(self.progress.seconds, 3),
            loss=loss,
            bits=bits(loss),
            gradient_norm=norm,
            learning_rate=self.rate(),
            tokens_per_second=round(speed),
        )

    def evaluation(self) -> Row:
        """Evaluates on the held-out text, and stops when it has not got better for ``patience`` evaluations."""
        assert self.held is not None
        nats = evaluate(self.model, self.held)
        progress, patience = self.progress, self.settings.patience
        if nats < progress.best:
            progress.best, progress.worse = nats, 0
            if patience is not None:
                self.best = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        else:
            progress.worse += 1
        self.stopping = self.stopping or (patience is not None and progress.worse >= patience)
        return self.record.add(step=progress.step, held_out=nats, held_out_bits=bits(nats))

    # checkpoints

    def tensors(self) -> dict[str, Tensor]:
        """All but the weights that a run needs to go on exactly: optimizer, random state, cursor, carried state, progress."""
        kept = {"random": torch.get_rng_state(), "progress": _numbers(*vars(self.progress).values())}
        kept["cursor"] = _numbers(*self.streams.state_dict().values())
        for i, part in self.optimizer.state_dict()["state"].items():
            kept.update({f"optimizer.{i}.{name}": value for name, value in part.items()})
        kept.update({f"carried.{name}": value for name, value in _named(self.state)})
        if self.best is not None:
            kept.update({f"best.{name}": value for name, value in self.best.items()})
        return {name: value.detach().clone() for name, value in kept.items()}

    def restore(self, kept: dict[str, Tensor]) -> None:
        """Goes on where `tensors` was taken.

        Raises:
            RunError: something is missing.
        """
        try:
            step, seconds, best, worse = kept["progress"].tolist()
            self.progress = replace(Progress(), step=int(step), seconds=seconds, best=best, worse=int(worse))
            epoch, position = kept["cursor"].tolist()
            self.streams.load_state_dict({"epoch": int(epoch), "position": int(position)})
            torch.set_rng_state(kept["random"])
        except (KeyError, ValueError) as error:
            raise RunError(f"the saved state lacks {error}; train again") from error
        slots: dict[int, dict[str, Tensor]] = {}
        for name, value in kept.items():
            if name.startswith("optimizer."):
                _, index, field = name.split(".")
                slots.setdefault(int(index), {})[field] = value
        self.optimizer.load_state_dict({"state": slots, "param_groups": self.optimizer.state_dict()["param_groups"]})
        carried = {name.removeprefix("carried."): v for name, v in kept.items() if name.startswith("carried.")}
        self.state = _nested(self.model.initial_state(1), carried, "") if carried else None
        best_weights = {name.removeprefix("best."): v for name, v in kept.items() if name.startswith("best.")}
        self.best = best_weights or None


@torch.inference_mode()
def evaluate(model: LanguageModel, tokens: Tensor, streams: int = 16, window: int = 256) -> float:
    """Mean nats per token of a text, with the state carried along it.

    The text is read as a few parallel strands; every token is scored but the first of each strand.

    Raises:
        InputError: fewer than two tokens.
    """
    if len(tokens) < 2:
        raise InputError(f"evaluation needs at least two tokens, got {len(tokens)}")
    training = model.training
    model.eval()
    strands = max(1, min(streams, len(tokens) // (4 * window)))
    length = len(tokens) // strands
    parts = [tokens[: strands * length].view(strands, length)]
    total, count = 0.0, 0
    for part in parts:
        state: Any = None
        for start in range(0, part.shape[1] - 1, window):
            stop = min(start + window, part.shape[1] - 1)
            logits, state = model(part[:, start:stop], state)
            targets = part[:, start + 1 : stop + 1]
            total += nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum").item()
            count += targets.numel()
    model.train(training)
    return total / count


def _groups(model: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices, none for vectors."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    matrices, vectors = [p for p in parameters if p.dim() > 1], [p for p in parameters if p.dim() < 2]
    return [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]


def _numbers(*values: float) -> Tensor:
    return torch.tensor([float(value) for value in values], dtype=torch.float64)


def _named(state: Any, prefix: str = "") -> list[tuple[str, Tensor]]:
    if state is None:
        return []
    if isinstance(state, Tensor):
        return [(prefix, state)]
    return [item for i, part in enumerate(state) for item in _named(part, f"{prefix}.{i}" if prefix else str(i))]


def _nested(like: Any, kept: dict[str, Tensor], prefix: str) -> Any:
    if isinstance(like, Tensor):
        return kept[prefix]
    return tuple(_nested(part, kept, f"{prefix}.{i}" if prefix else str(i)) for i, part in enumerate(like))
