"""Random numbers of an estimator: its own, so that those of the program around it stay as they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from sklearn.utils import check_random_state

from rondeau.train.devices import use_seed


def seed_of(random_state: Any) -> int:
    """A seed by scikit-learn's conventions: a whole number always gives the same, a `numpy.random.RandomState` and None, which
    stands for numpy's own, give another each time."""
    return int(check_random_state(random_state).randint(1 << 31))


@contextmanager
def own_randomness(seed: int, device: str = "cpu") -> Iterator[None]:
    """PyTorch's random numbers begin with ``seed``; afterwards they, and the number of threads, are as they were."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[] if device == "cpu" else None):
        use_seed(seed)
        try:
            yield
        finally:
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)
