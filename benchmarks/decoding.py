"""Beam search of an encoder-decoder of one LSTM layer, against loops over nn.LSTMCell: python benchmarks/decoding.py

The loops are what one writes by hand, in inference mode, a source at a time: ``one by one`` steps each hypothesis by itself,
``side by side`` all hypotheses of a source at once. They have the model's weights, and before the timing they must find
the same texts with the same scores.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from common import write
from torch import Tensor, nn

from rondeau.models import Beam, EncoderDecoder, SequenceEncoder, Tokens, decode, recurrent_layers

END, LONGEST = 1, 20
Found = list[tuple[list[int], float]]
State = tuple[Tensor, Tensor]


def translator(vocabulary: int, hidden: int) -> EncoderDecoder:
    """Random weights, and ends so unlikely that every search takes all its steps."""
    torch.manual_seed(0)
    body = recurrent_layers("lstm", 64, hidden, bidirectional=True)
    model = EncoderDecoder(SequenceEncoder(Tokens(vocabulary, 64), body), vocabulary, "lstm", hidden=hidden)
    with torch.no_grad():
        for parameter in model.decoder.parameters():
            parameter.mul_(2)
        model.head.weight.mul_(4)
        model.head.bias[END] -= 20.0
    return model.eval()


class ByHand:
    """The same network from torch.nn, and beam search over it."""

    def __init__(self, model: EncoderDecoder, width: int) -> None:
        self.model, self.width = model, width
        layer = model.decoder.recurrent[0].to_torch()
        self.cell = nn.LSTMCell(layer.input_size, layer.hidden_size)
        for mine, theirs in zip(self.cell.parameters(), layer.parameters()):
            mine.data.copy_(theirs)

    def step(self, tokens: Tensor, state: State, values: Tensor) -> tuple[Tensor, State]:
        """Log-probabilities (hypotheses, vocabulary), and the state."""
        model = self.model
        state = self.cell(model.embedding(tokens), state)
        scores = state[0] @ model.attention.keys(values).T
        context = scores.softmax(-1) @ values
        features = torch.tanh(model.combine(torch.cat([context, state[0]], -1)))
        return model.head(features).log_softmax(-1), state

    def start(self, source: Tensor) -> tuple[Tensor, State]:
        """The encoder's outputs (time, features), and the decoder's state."""
        values, state = self.model.encoder(source[None])
        ((h, c),) = self.model.bridge(state)
        return values[0], (h, c)

    def one_by_one(self, source: Tensor) -> Found:
        """A step for every hypothesis."""
        values, state = self.start(source)
        alive: list[tuple[list[int], float, State]] = [([END], 0.0, state)]
        done: Found = []
        for _ in range(LONGEST):
            ways = []
            for tokens, total, state in alive:
                logs, after = self.step(torch.tensor(tokens[-1:]), state, values)
                best, names = (total + logs[0]).topk(2 * self.width)
                ways += [(score, [*tokens, name], after) for score, name in zip(best.tolist(), names.tolist())]
            ways.sort(key=lambda way: -way[0])
            done += [(tokens[1:-1], score) for score, tokens, _ in ways[: self.width] if tokens[-1] == END]
            if len(done) >= self.width:
                break
            alive = [(tokens, score, state) for score, tokens, state in ways if tokens[-1] != END][: self.width]
        done += [(tokens[1:], score) for tokens, score, _ in alive][: max(0, self.width - len(done))]
        return done[: self.width]

    def side_by_side(self, source: Tensor) -> Found:
        """A step for all hypotheses of the source at once."""
        values, state = self.start(source)
        texts, totals, done = [[END]], torch.zeros(1), []
        for _ in range(LONGEST):
            logs, state = self.step(torch.tensor([text[-1] for text in texts]), state, values)
            count = logs.shape[1]
            best, places = (totals[:, None] + logs).flatten().topk(2 * self.width)
            ways = list(zip(best.tolist(), (places // count).tolist(), (places % count).tolist()))
            done += [(texts[row][1:], score) for score, row, name in ways[: self.width] if name == END]
            if len(done) >= self.width:
                break
            on = [(score, row, name) for score, row, name in ways if name != END][: self.width]
            rows = torch.tensor([row for _, row, _ in on])
            state = state[0][rows], state[1][rows]
            texts = [[*texts[row], name] for _, row, name in on]
            totals = torch.tensor([score for score, _, _ in on])
        done += [(text[1:], score) for text, score in zip(texts, totals.tolist())][: max(0, self.width - len(done))]
        return done[: self.width]


def equal(ours: list[list[tuple[list[int], float]]], theirs: list[Found]) -> bool:
    """Whether the same texts were found with the same scores."""
    for own, other in zip(ours, theirs):
        mine, yours = sorted(own, key=lambda each: each[1]), sorted(other, key=lambda each: each[1])
        if [tokens for tokens, _ in mine] != [tokens for tokens, _ in yours]:
            return False
        if any(abs(a - b) > 1e-3 for (_, a), (_, b) in zip(mine, yours)):
            return False
    return len(ours) == len(theirs)


@torch.inference_mode()
def measure(sources: int, width: int, vocabulary: int, hidden: int, repeats: int) -> dict[str, float]:
    """Milliseconds a source, the least of interleaved repeats."""
    model = translator(vocabulary, hidden)
    draw = torch.Generator().manual_seed(1)
    lengths = torch.randint(8, 25, (sources,), generator=draw)
    given = torch.randint(2, vocabulary, (sources, 24), generator=draw)
    texts = [row[:length] for row, length in zip(given, lengths)]
    hand = ByHand(model, width)

    def ours() -> list[list[tuple[list[int], float]]]:
        found = decode(model, given, lengths, Beam(width), end=END, longest=LONGEST)
        return [[(each.tokens.tolist(), each.log_probability) for each in own] for own in found]

    few = min(sources, 20)  # the loops go source by source, so some are enough
    ways: dict[str, tuple[Callable[[], object], int]] = {
        "ours": (ours, sources),
        "one_by_one": (lambda: [hand.one_by_one(text) for text in texts[:few]], few),
        "side_by_side": (lambda: [hand.side_by_side(text) for text in texts[:few]], few),
    }
    found = ours()
    assert equal(found[:few], [hand.one_by_one(text) for text in texts[:few]])
    assert equal(found[:few], [hand.side_by_side(text) for text in texts[:few]])
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, (way, count) in ways.items():
            begin = time.perf_counter()
            way()
            times[name].append(1e3 * (time.perf_counter() - begin) / count)
    return {name: round(min(own), 3) for name, own in times.items()}


def main() -> None:
    """Measures a batch of sources, and one source alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("width", 5), ("vocabulary", 80), ("hidden", 256), ("repeats", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = vars(parser.parse_args())
    for sources in (1, 256):
        found = measure(sources, **options)
        line = {"sources": sources, **options, **{f"{name}_ms": value for name, value in found.items()}}
        line |= {f"over_{name}": round(found[name] / found["ours"], 1) for name in ("one_by_one", "side_by_side")}
        write("decoding", line)


if __name__ == "__main__":
    main()
