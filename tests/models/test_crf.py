"""The linear chain: against sums and maxima over all paths, written out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from rondeau.cells.linear_chain import forward_recursion
from rondeau.data import bio_follows
from rondeau.errors import InputError
from rondeau.models import CRF

TAGS = ["B-X", "I-X", "B-Y", "I-Y", "O"]
LENGTHS = [4, 1, 3]


def made(backend: str = "auto", constrained: bool = False, bio: bool = True, dtype: torch.dtype = torch.float64) -> CRF:
    torch.manual_seed(0)
    crf = CRF(5, bio_follows(TAGS) if bio else None, constrained=constrained, backend=backend).to(dtype)
    for parameter in crf.parameters():
        torch.nn.init.normal_(parameter)
    return crf


def given(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    scores = torch.randn(3, 4, 5, generator=draw, dtype=torch.float64).to(dtype)
    return scores, torch.tensor([[0, 1, 4, 2], [4, 0, 0, 0], [2, 3, 4, 0]])


def allowed(path: tuple[int, ...]) -> bool:
    follows = bio_follows(TAGS)
    return bool(follows.first[path[0]]) and all(follows.after[a, b] for a, b in itertools.pairwise(path))


def weights(crf: CRF, scores: torch.Tensor, length: int, bio: bool) -> dict[tuple[int, ...], torch.Tensor]:
    """The score of every path over the first steps of one sequence."""
    found = {}
    for path in itertools.product(range(5), repeat=length):
        if not bio or allowed(path):
            pairs = sum(crf.after[a, b] for a, b in itertools.pairwise(path))
            steps = sum(scores[step, tag] for step, tag in enumerate(path))
            found[path] = steps + pairs + crf.first[path[0]] + crf.last[path[-1]]
    return found


@pytest.mark.parametrize("backend", ["compiled", "reference"])
@pytest.mark.parametrize("constrained", [False, True])
def test_probability_and_its_gradients_are_those_of_all_paths_written_out(backend: str, constrained: bool) -> None:
    crf, (scores, tags) = made(backend, constrained), given()
    scores.requires_grad_()
    wanted = []
    for row, length in enumerate(LENGTHS):
        paths = weights(crf, scores[row], length, constrained)
        wanted.append(paths[tuple(tags[row, :length].tolist())] - torch.stack(list(paths.values())).logsumexp(0))
    ours = crf.log_likelihood(scores, tags, LENGTHS)
    torch.testing.assert_close(ours, torch.stack(wanted))
    leaves = [scores, *crf.parameters()]
    expected = torch.autograd.grad(torch.stack(wanted).sum(), leaves)
    torch.testing.assert_close(torch.autograd.grad(ours.sum(), leaves), expected)


@pytest.mark.parametrize("constrained", [False, True])
def test_of_tags_that_are_not_known_all_count(constrained: bool) -> None:
    crf, (scores, tags) = made(constrained=constrained), given()
    tags[0, 1] = tags[0, 2] = tags[1, 0] = tags[2, 2] = -1
    found = crf.log_likelihood(scores, tags, LENGTHS)
    for row, length in enumerate(LENGTHS):
        paths = weights(crf, scores[row], length, constrained)
        known = {step: tag for step, tag in enumerate(tags[row, :length].tolist()) if tag >= 0}
        through = [score for path, score in paths.items() if all(path[step] == tag for step, tag in known.items())]
        wanted = torch.stack(through).logsumexp(0) - torch.stack(list(paths.values())).logsumexp(0)
        torch.testing.assert_close(found[row], wanted)


def test_numerical_gradients_of_the_compiled_recursion() -> None:
    crf, (scores, tags) = made("compiled"), given()

    def likelihood(scores: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        named = dict(zip(("first", "last", "after"), values))
        whole = torch.func.functional_call(_Likelihood(crf), {f"crf.{name}": v for name, v in named.items()}, (scores, tags))
        return whole

    leaves = [scores, crf.first, crf.last, crf.after]
    assert torch.autograd.gradcheck(likelihood, [leaf.detach().clone().requires_grad_() for leaf in leaves])


class _Likelihood(torch.nn.Module):
    def __init__(self, crf: CRF) -> None:
        super().__init__()
        self.crf = crf

    def forward(self, scores: torch.Tensor, tags: torch.Tensor) -> torch.Tensor:
        return self.crf.log_likelihood(scores, tags, LENGTHS)


@pytest.mark.parametrize("bio", [False, True])
def test_the_best_path_is_that_of_all_paths(bio: bool) -> None:
    crf, (scores, _) = made(bio=bio), given()
    found = crf.decode(scores, LENGTHS)
    for row, length in enumerate(LENGTHS):
        paths = weights(crf, scores[row], length, bio)
        assert tuple(found[row, :length].tolist()) == max(paths, key=lambda path: paths[path].item())
        assert not found[row, length:].any()


def test_no_decoded_path_breaks_what_may_follow() -> None:
    crf = made()
    scores = 5 * torch.randn(50, 20, 5, dtype=torch.float64)
    free = made(bio=False).decode(scores)
    assert not all(allowed(tuple(path)) for path in free.tolist())
    assert all(allowed(tuple(path)) for path in crf.decode(scores).tolist())


def test_marginals_are_the_share_of_the_paths_through_a_tag() -> None:
    crf, (scores, _) = made(), given()
    with torch.inference_mode():
        found = crf.marginals(scores, LENGTHS)
    for row, length in enumerate(LENGTHS):
        paths = weights(crf, scores[row], length, True)
        shares = torch.stack(list(paths.values())).softmax(0).detach()
        for step in range(length):
            through = [sum(s for s, path in zip(shares, paths) if path[step] == tag) for tag in range(5)]
            np.testing.assert_allclose(found[row, step], through, atol=1e-9)
        assert not found[row, length:].any()


def test_what_lies_past_a_length_changes_nothing() -> None:
    crf, (scores, tags) = made(), given()
    other, others = scores.clone(), tags.clone()
    other[1, 1:], others[1, 1:] = 1e6, 4
    torch.testing.assert_close(crf.log_likelihood(other, others, LENGTHS), crf.log_likelihood(scores, tags, LENGTHS))
    others[1, 1:] = -1
    torch.testing.assert_close(crf.log_likelihood(other, others, LENGTHS), crf.log_likelihood(scores, tags, LENGTHS))
    assert crf.decode(other, LENGTHS).equal(crf.decode(scores, LENGTHS))


def test_large_scores_and_long_sequences_stay_finite_in_float32() -> None:
    crf = made("compiled", constrained=True, dtype=torch.float32)
    scores = (10 * torch.randn(2, 300, 5)).requires_grad_()
    best = crf.decode(scores.detach())
    likelihood = crf.log_likelihood(scores, best)
    likelihood.sum().backward()
    exact = crf.double().log_likelihood(scores.detach().double(), best)
    torch.testing.assert_close(likelihood.double(), exact, rtol=1e-3, atol=1e-2)
    assert likelihood.isfinite().all() and scores.grad is not None and scores.grad.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in crf.parameters())
    assert crf.log_partition(1000 * scores.double()).isfinite().all()


def test_no_score_is_large_enough_to_break_what_may_follow() -> None:
    assert all(allowed(tuple(path)) for path in made().decode(1e6 * torch.randn(20, 20, 5, dtype=torch.float64)).tolist())


def test_one_tag_and_one_step() -> None:
    assert CRF(1).log_likelihood(torch.randn(2, 1, 1), torch.zeros(2, 1, dtype=torch.int64)).tolist() == [0, 0]


def test_the_recursion_is_a_cell_that_says_what_it_does() -> None:
    assert "log" in str(forward_recursion()) and forward_recursion() is forward_recursion()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: CRF(0), "positive"),
        (lambda: CRF(2, bio_follows(TAGS)), r"for 2 tags they are \(2,\)"),
        (lambda: CRF(2).decode(torch.zeros(1, 3, 4)), r"scores are \(batch, time, 2\)"),
        (lambda: CRF(2).decode(torch.zeros(1, 3, 2), [4]), "from 1 to 3"),
        (lambda: CRF(2).decode(torch.zeros(1, 3, 2), [0]), "from 1 to 3"),
        (lambda: CRF(2).log_likelihood(torch.zeros(1, 3, 2), torch.zeros(1, 2)), r"tags are \(1, 3\)"),
        (lambda: bio_follows(["NN", "O"]), "BIO tags are O"),
    ],
)
def test_what_does_not_fit_is_refused(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
