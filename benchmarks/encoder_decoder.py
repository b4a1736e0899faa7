"""Steps of training an encoder-decoder of two GRU layers, against the same model on torch.nn.GRU.

``python benchmarks/encoder_decoder.py``: both start from the same weights and must learn alike for some steps; then forward,
backward and update of the two take turns in one process. Embeddings, attention and softmax are the same modules in both.
"""

from __future__ import annotations

import argparse
import copy
import time

import torch
from common import write
from torch import Tensor, nn
from torch.nn import functional

from rondeau.models import EncoderDecoder, SequenceEncoder, Tokens, recurrent_layers
from rondeau.nn import Stack

VOCABULARY, EMBEDDING, LAYERS = 80, 64, 2


class Plain(nn.Module):
    """The same network with its recurrent layers from torch.nn."""

    def __init__(self, model: EncoderDecoder) -> None:
        super().__init__()
        self.model = copy.deepcopy(model)
        self.encoder = nn.ModuleList(stock(self.model.encoder.body))
        self.decoder = nn.ModuleList(stock(self.model.decoder))
        self.model.encoder.body = self.model.decoder = nn.Identity()

    def forward(self, source: Tensor, inputs: Tensor) -> Tensor:
        """Logits (batch, steps, vocabulary)."""
        model, x, states = self.model, self.model.encoder.reader(source), []
        for layer in self.encoder:
            x, state = layer(x)
            states.append((state,))
        memory = model.attention.memory(x)
        y = model.embedding(inputs)
        for layer, (state,) in zip(self.decoder, model.bridge(tuple(states))):
            y, _ = layer(y, state[None].contiguous())
        return model.logits(model.attend(y, memory)[0])


def stock(body: Stack) -> list[nn.RNNBase]:
    """The layers of torch.nn with these weights."""
    return [layer.to_torch() for layer in body.recurrent]


def step(model: nn.Module, optimizer: torch.optim.Optimizer, source: Tensor, inputs: Tensor, outputs: Tensor) -> Tensor:
    """Forward, backward and update; the loss."""
    loss = functional.cross_entropy(model(source, inputs).flatten(0, 1), outputs.flatten())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.detach()


def measure(hidden: int, batch: int, time_steps: int, repeats: int) -> dict[str, float]:
    """Milliseconds of a step of either, the least of interleaved repeats."""
    torch.manual_seed(0)
    body = recurrent_layers("gru", EMBEDDING, hidden, layers=LAYERS, bidirectional=True)
    ours = EncoderDecoder(SequenceEncoder(Tokens(VOCABULARY, EMBEDDING), body), VOCABULARY, hidden=hidden, layers=LAYERS)
    theirs = Plain(ours)
    source, inputs, outputs = (torch.randint(2, VOCABULARY, (batch, time_steps)) for _ in range(3))
    pair = [(model, torch.optim.AdamW(model.parameters(), fused=True)) for model in (ours, theirs)]
    losses = [[float(step(*each, source, inputs, outputs)) for _ in range(4)] for each in pair]
    assert torch.allclose(torch.tensor(losses[0]), torch.tensor(losses[1]), atol=1e-3), losses
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for each, own in zip(pair, times):
            begin = time.perf_counter()
            step(*each, source, inputs, outputs)
            own.append(1e3 * (time.perf_counter() - begin))
    return {"ours_ms": round(min(times[0]), 2), "theirs_ms": round(min(times[1]), 2)}


def main() -> None:
    """Measures one size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("hidden", 256), ("batch", 64), ("time_steps", 25), ("repeats", 15)):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    options = vars(parser.parse_args())
    found = measure(**options)
    write("encoder_decoder", {**options, **found, "ratio": round(found["theirs_ms"] / found["ours_ms"], 2)})


if __name__ == "__main__":
    main()
