"""`CRF`: a linear chain over the tags of neighbouring steps, on top of what a network says of each step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rondeau.cells.linear_chain import forward_recursion
from rondeau.data import Follows
from rondeau.engine import BackendChoice, scan
from rondeau.errors import InputError
from rondeau.nn.layer import Lengths

NEVER = (
    -1e4
)  # the score, in training, of what is not allowed: exp of it is zero, and a sequence that breaks it has a finite loss


class CRF(nn.Module):
    """A conditional random field over a chain of tags: the score of a path is the sum of what the network gives each of its
    tags at each step, of a transition from each tag to the next, and of how it begins and ends.

    Args:
        tags: the number of tags.
        follows: what may stand first and what may follow what, such as `rondeau.data.bio_follows`; all if not given. No path
            that breaks it is ever decoded.
        constrained: whether such paths have no probability in training either.
        backend: as for `rondeau.scan`, of the forward recursion.

    Raises:
        InputError: the number of tags is not positive, or ``follows`` is of other tags.

    Example:
        >>> crf = CRF(3)
        >>> scores, tags = torch.randn(2, 5, 3), torch.zeros(2, 5, dtype=torch.int64)
        >>> crf.log_likelihood(scores, tags, lengths=[5, 2]).shape, crf.decode(scores, lengths=[5, 2]).shape
        (torch.Size([2]), torch.Size([2, 5]))
    """

    may_start: Tensor
    may_follow: Tensor

    def __init__(
        self, tags: int, follows: Follows | None = None, *, constrained: bool = False, backend: BackendChoice = "auto"
    ) -> None:
        super().__init__()
        if not isinstance(tags, int) or isinstance(tags, bool) or tags < 1:
            raise InputError(f"the number of tags is a positive whole number, not {tags!r}")
        self.tags, self.constrained, self.backend = tags, constrained, backend
        self.first = nn.Parameter(torch.zeros(tags))
        self.last = nn.Parameter(torch.zeros(tags))
        self.after = nn.Parameter(torch.empty(tags, tags).uniform_(-0.1, 0.1))
        first, after = _allowed(tags, follows)
        self.register_buffer("may_start", first)
        self.register_buffer("may_follow", after)

    def log_likelihood(self, scores: Tensor, tags: Tensor, lengths: Lengths = None) -> Tensor:
        """The logarithm of the probability of the tags of each sequence, (batch,): where a tag is not known, that of all paths
        through the known ones.

        Args:
            scores: (batch, time, tags).
            tags: (batch, time), whole numbers, negative where a tag is not known; past a length anything.
            lengths: steps of each sequence, (batch,), at least one; all steps if not given.

        Raises:
            InputError: shapes that do not fit.
        """
        counts = _checked(scores, lengths, self.tags)
        if tags.shape != scores.shape[:2]:
            raise InputError(f"tags are {tuple(scores.shape[:2])} for these scores, not {tuple(tags.shape)}")
        first, after = self._scores(self.constrained)
        whole = self._total(scores, counts, first, after)
        alive = _alive(scores, counts)
        if not (alive & (tags < 0)).any():
            return self._path(scores, torch.where(alive, tags, 0), alive, counts, first, after) - whole
        others = torch.ones_like(scores, dtype=torch.bool).scatter(2, tags.clamp(min=0)[:, :, None], False)
        through = scores.masked_fill(others & (alive & (tags >= 0))[:, :, None], NEVER)
        return self._total(through, counts, first, after) - whole

    def log_partition(self, scores: Tensor, lengths: Lengths = None) -> Tensor:
        """The logarithm of the sum of the weights of all paths, (batch,); its gradient by the scores is `marginals`.

        Raises:
            InputError: shapes that do not fit.
        """
        return self._total(scores, _checked(scores, lengths, self.tags), *self._scores(self.constrained))

    def marginals(self, scores: Tensor, lengths: Lengths = None) -> Tensor:
        """The probability of each tag at each step, given all scores, (batch, time, tags); paths that are not allowed count
        for nothing. It is the gradient of `log_partition`, so the compiled recursion backwards.

        Raises:
            InputError: shapes that do not fit.
        """
        counts = _checked(scores, lengths, self.tags)
        with torch.inference_mode(False), torch.enable_grad():
            given = scores.detach().clone().requires_grad_()
            whole = self._total(given, counts, *(value.detach().clone() for value in self._scores(True)))
            (found,) = torch.autograd.grad(whole.sum(), given)
        return found

    @torch.no_grad()
    def decode(self, scores: Tensor, lengths: Lengths = None) -> Tensor:
        """The best path of each sequence that is allowed, by Viterbi's algorithm: (batch, time), zero past a length.

        Raises:
            InputError: shapes that do not fit.
        """
        counts = _checked(scores, lengths, self.tags)
        first, after = self._scores(True, -torch.inf)
        best, before = scores[:, 0] + first, []
        for step in range(1, scores.shape[1]):
            ways, origin = (best[:, :, None] + after).max(1)
            going = (step < counts)[:, None]
            best = torch.where(going, ways + scores[:, step], best)
            before.append(torch.where(going, origin, torch.arange(self.tags, device=origin.device)))
        path = [(best + self.last).argmax(1, keepdim=True)]
        for origin in reversed(before):
            path.append(origin.gather(1, path[-1]))
        return torch.cat(path[::-1], 1) * _alive(scores, counts)

    def _scores(self, constrained: bool, never: float = NEVER) -> tuple[Tensor, Tensor]:
        """How paths begin (tags,) and what each tag adds behind each (tags, next tags)."""
        if not constrained:
            return self.first, self.after
        return self.first.masked_fill(~self.may_start, never), self.after.masked_fill(~self.may_follow, never)

    def _total(self, scores: Tensor, lengths: Tensor, first: Tensor, after: Tensor) -> Tensor:
        a = scores[:, 0] + first
        if scores.shape[1] > 1:
            E = after.exp().T.contiguous()
            _, (a,) = scan(forward_recursion(), {"E": E}, scores[:, 1:], a, lengths=lengths - 1, backend=self.backend)
        return (a + self.last).logsumexp(1)

    def _path(self, scores: Tensor, tags: Tensor, alive: Tensor, lengths: Tensor, first: Tensor, after: Tensor) -> Tensor:
        of_steps = scores.gather(2, tags[:, :, None])[:, :, 0] * alive
        of_pairs = after[tags[:, :-1], tags[:, 1:]] * alive[:, 1:]
        end = tags.gather(1, lengths[:, None] - 1)[:, 0]
        return of_steps.sum(1) + of_pairs.sum(1) + first[tags[:, 0]] + self.last[end]

    def extra_repr(self) -> str:
        """The number of tags."""
        return f"tags={self.tags}" + (", constrained=True" if self.constrained else "")


def _allowed(tags: int, follows: Follows | None) -> tuple[Tensor, Tensor]:
    if follows is None:
        return torch.ones(tags, dtype=torch.bool), torch.ones(tags, tags, dtype=torch.bool)
    first, after = torch.as_tensor(follows.first), torch.as_tensor(follows.after)
    if first.shape != (tags,) or after.shape != (tags, tags):
        raise InputError(
            f"follows has the shapes {tuple(first.shape)} and {tuple(after.shape)}; for {tags} tags they are ({tags},) and "
            f"({tags}, {tags})"
        )
    return first, after


def _alive(scores: Tensor, lengths: Tensor) -> Tensor:
    """Whether a step lies within its sequence, (batch, time)."""
    return torch.arange(scores.shape[1], device=scores.device) < lengths[:, None]


def _checked(scores: Tensor, lengths: Lengths, tags: int) -> Tensor:
    """The lengths, (batch,), of scores that fit."""
    if scores.dim() != 3 or scores.shape[2] != tags or not scores.shape[1]:
        raise InputError(f"scores are (batch, time, {tags}) with at least one step, not {tuple(scores.shape)}")
    batch, time = scores.shape[:2]
    given = torch.full((batch,), time) if lengths is None else torch.as_tensor(lengths)
    if given.shape != (batch,) or (batch and not 1 <= int(given.min()) <= int(given.max()) <= time):
        raise InputError(f"lengths are {batch} whole numbers from 1 to {time}, not {given.tolist()}")
    return given.to(scores.device)
