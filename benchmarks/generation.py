"""Characters a second from a language model of one LSTM layer, against a loop over torch.nn: python benchmarks/generation.py

The loop is what one writes by hand: embedding, nn.LSTM, nn.Linear, softmax, multinomial, all in inference mode. Before the
timing both models' logits are compared along one text, and both must write the same text when the most likely token is taken.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from rondeau.models import LanguageModel, generate

VOCABULARY, HIDDEN, EMBEDDING, LENGTH, REPEATS = 65, 256, 64, 1000, 15


class Plain(nn.Module):
    """The same network from torch.nn."""

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, EMBEDDING)
        self.lstm = nn.LSTM(EMBEDDING, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, VOCABULARY)
        own = model.body[0].params
        pairs = zip(self.lstm.parameters(), (own["W"], own["U"], own["b"], torch.zeros_like(own["b"])))
        for mine, theirs in (*pairs, (self.embedding.weight, model.embedding.weight)):
            mine.data.copy_(theirs)
        self.head.load_state_dict(model.head.state_dict())

    @torch.inference_mode()
    def write(self, first: int, length: int, greedy: bool = False) -> Iterator[int]:
        """Tokens after ``first``."""
        token, state = torch.tensor([[first]]), None
        for _ in range(length):
            y, state = self.lstm(self.embedding(token), state)
            logits = self.head(y[:, -1])
            token = logits.argmax(-1, keepdim=True) if greedy else torch.multinomial(logits.softmax(-1), 1)
            yield int(token)


def measure() -> dict[str, float]:
    """Seconds for a text of either, the least of interleaved repeats."""
    torch.manual_seed(0)
    model = LanguageModel(VOCABULARY, "lstm", hidden=HIDDEN, embedding=EMBEDDING)
    plain = Plain(model)
    start = torch.tensor([0])
    assert list(generate(model, start, 200, temperature=0)) == list(plain.write(0, 200, greedy=True))
    ours, theirs = [], []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        assert len(list(generate(model, start, LENGTH))) == LENGTH
        ours.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        assert len(list(plain.write(0, LENGTH))) == LENGTH
        theirs.append(time.perf_counter() - begin)
    return {"ours": min(ours) / LENGTH, "theirs": min(theirs) / LENGTH}


if __name__ == "__main__":
    found = measure()
    row = {
        "model": f"LSTM 1 x {HIDDEN}, {VOCABULARY} characters",
        "ours_us": round(1e6 * found["ours"], 1),
        "theirs_us": round(1e6 * found["theirs"], 1),
        "ratio": round(found["theirs"] / found["ours"], 2),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
    }
    print(json.dumps(row))
    with (Path(__file__).parent / "results" / "generation.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
