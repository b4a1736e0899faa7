"""`Layer`: what every recurrent layer promises, so that layers compose and models need not know which one they hold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, Union, overload

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from rondeau.errors import InputError
from rondeau.nn.packed import packed_like, padded
from rondeau.nn.stepper import Calls, Stepper

S = TypeVar("S")
X = TypeVar("X", Tensor, PackedSequence)
States = tuple[Tensor, ...]
Traces = dict[str, Tensor]
Lengths = Union[Tensor, Sequence[int], None]
Context = Union[Tensor, Mapping[str, Tensor], None]


class Given(NamedTuple):
    """What a run is given beside the sequence and the state, as for `Layer.forward`."""

    lengths: Lengths = None
    context: Context = None
    trace: tuple[str, ...] = ()


class Layer(nn.Module, ABC, Generic[S]):
    """A module that runs over sequences and hands on a state: ``layer(x, state) -> (y, state)``.

    `Recurrent` is one, and so are the layers made of layers, `Stack`, `Bidirectional`, `Skip` and `Residual`. One of your own
    has `input_size`, `output_size`, `initial_state` and ``_forward``, which gets a padded sequence and always returns the
    traced values; what is common to all layers is done here.
    """

    @property
    @abstractmethod
    def input_size(self) -> int:
        """Features of the input."""

    @property
    @abstractmethod
    def output_size(self) -> int:
        """Features of the output."""

    @property
    def contexts(self) -> tuple[str, ...]:
        """The names of the contexts that it reads."""
        return ()

    @property
    def reverse(self) -> bool | None:
        """Whether it runs from the end of a sequence to its start; None when neither can be said of it."""
        return None

    @property
    def ordered(self) -> bool:
        """Whether the order of the steps makes a difference to it; then `reverse` says which it takes."""
        return True

    @abstractmethod
    def initial_state(self, batch: int) -> S:
        """The state that ``batch`` sequences start with."""

    @abstractmethod
    def _forward(self, x: Tensor, state: S | Tensor | None, given: Given) -> tuple[Tensor, S, Traces]:
        """The run over x (batch, time, input): the output, the last state, and the values that ``given.trace`` names."""

    def _checked(self, given: Given) -> Given:
        """What a run is given, once it is found to fit this layer."""
        return given

    def stepper(self, batch: int = 1, context: Context = None) -> Stepper[S]:
        """This layer one step at a time, on memory of its own: `rondeau.nn.Stepper`, which says more.

        Args:
            batch: sequences side by side.
            context: as for a run, each (batch, width), if it reads contexts.

        Raises:
            InputError: it runs in both directions or in reverse, or holds what cannot be stepped.
        """
        return Stepper(self, batch, context)

    def _steps(self, x: Tensor, calls: Calls) -> tuple[Tensor, S]:
        """Adds the calls of a step that reads ``x`` (batch, input): the output and the state, in the memory where they stay.

        A layer that can be stepped has one beside ``_forward``.
        """
        raise AssertionError("Calls.layer has refused it")

    @overload
    def forward(  # type: ignore[overload-overlap]
        self,
        x: X,
        state: S | Tensor | None = None,
        *,
        lengths: Lengths = None,
        context: Context = None,
        trace: tuple[()] = (),
    ) -> tuple[X, S]: ...

    @overload
    def forward(
        self,
        x: X,
        state: S | Tensor | None = None,
        *,
        lengths: Lengths = None,
        context: Context = None,
        trace: Sequence[str],
    ) -> tuple[X, S, dict[str, X]]: ...

    def forward(
        self,
        x: Any,
        state: S | Tensor | None = None,
        *,
        lengths: Lengths = None,
        context: Context = None,
        trace: Sequence[str] = (),
    ) -> Any:
        """Runs over a batch of sequences.

        Args:
            x: (batch, time, input); for time-major data give ``x.transpose(0, 1)``, which copies nothing. A `PackedSequence`
                comes back as one, its states in the batch's own order.
            state: the state before the first step; the initial one if not given.
            lengths: the number of steps of each sequence, (batch,); all steps if not given. What lies past a length changes
                nothing before it, and the state returned is that after each sequence's own last step. There the output of a
                `Recurrent` is zeros; `Skip` and `Residual` pass on what x has there, and plain modules make of it what they do.
            context: the contexts by name, a lone one as a plain tensor: (batch, width), or (batch, time, width) for those
                declared per step. Every layer inside reads those of its cell.
            trace: names of values to return at every step. Inside a layer of layers a name begins with the path of its
                layer, as those of parameters do: ``"0.f"``.

        Returns:
            ``(y, state)``, y (batch, time, output); with ``trace`` a third value, the traced values by name.

        Raises:
            InputError: an argument does not fit.
        """
        names = (trace,) if isinstance(trace, str) else tuple(trace)
        if isinstance(x, PackedSequence):
            return self._packed(x, state, Given(lengths, context, names))
        y, after, traced = self._forward(x, state, self._checked(Given(lengths, context, names)))
        if not names:
            return y, after
        self._check_traced(names, traced)
        return y, after, traced

    def _check_traced(self, names: Sequence[str], traced: Mapping[str, Any]) -> None:
        """Raises InputError when a layer, perhaps a user's own, has not returned a value that was asked for."""
        for name in names:
            if name not in traced:
                raise InputError(
                    f"{type(self).__name__} returned nothing for the trace {name!r}; its _forward must return every value that "
                    f"given.trace names, and returned {', '.join(traced) or 'none'}"
                )

    if TYPE_CHECKING:

        @overload
        def __call__(  # type: ignore[overload-overlap]
            self,
            x: X,
            state: S | Tensor | None = None,
            *,
            lengths: Lengths = None,
            context: Context = None,
            trace: tuple[()] = (),
        ) -> tuple[X, S]: ...

        @overload
        def __call__(
            self,
            x: X,
            state: S | Tensor | None = None,
            *,
            lengths: Lengths = None,
            context: Context = None,
            trace: Sequence[str],
        ) -> tuple[X, S, dict[str, X]]: ...

        def __call__(self, *args: Any, **options: Any) -> Any: ...

    def _packed(self, packed: PackedSequence, state: S | Tensor | None, given: Given) -> Any:
        if given.lengths is not None:
            raise InputError("a packed sequence says how long its sequences are; leave lengths out")
        x, counts = padded(packed)
        y, after, traced = self._forward(x, state, self._checked(Given(counts, given.context, given.trace)))
        out = packed_like(packed, y, counts)
        if not given.trace:
            return out, after
        wide = {name: value.movedim(0, 2) if value.dim() == 4 else value for name, value in traced.items()}
        return out, after, {name: packed_like(packed, value, counts) for name, value in wide.items()}

    def __prepare_scriptable__(self) -> nn.Module:
        raise InputError(
            f"TorchScript cannot compile {type(self).__name__}; use torch.export, or give it layer.to_torch() where PyTorch "
            "has such a layer"
        )
