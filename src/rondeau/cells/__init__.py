"""The zoo: cells from the literature, each a value with its source, and mechanisms that change a cell.

Functions with settings make variants; `ALL` holds one cell of every kind by name.
"""

from __future__ import annotations

import inspect
import re

from rondeau.cells.chains import chain
from rondeau.cells.deep import deep_input_rnn, deep_output_rnn, deep_transition_rnn, highway_rnn
from rondeau.cells.gru_family import forget_update, gru, gru_textbook, li_gru, min_gru, minimal_gated_unit, update_gate_rnn
from rondeau.cells.lstm_family import (
    janet,
    layer_norm_lstm,
    lstm,
    lstm_coupled,
    min_lstm,
    multiplicative_lstm,
    peephole_lstm,
    projected_lstm,
)
from rondeau.cells.scales import clockwork, hierarchical_rnn, lagged_rnn, leaky_rnn, leaky_rnn_learned, rate_rnn
from rondeau.cells.simple import elman, ind_rnn, jordan
from rondeau.cells.transforms import (
    conditioned,
    deepen,
    dropout,
    layer_norm,
    leaky,
    perturbed,
    perturbed_states,
    residual,
    zoneout,
)
from rondeau.errors import InputError
from rondeau.ir import Cell

_CELLS: tuple[Cell, ...] = (
    elman(),
    elman("relu").renamed("elman_relu"),
    elman("sigmoid").renamed("elman_sigmoid"),
    jordan(),
    ind_rnn(),
    lstm(),
    lstm_coupled(),
    peephole_lstm(),
    peephole_lstm("f i").renamed("peephole_lstm_fi"),
    peephole_lstm(full=True),
    projected_lstm(),
    layer_norm_lstm(),
    multiplicative_lstm(),
    janet(),
    min_lstm(),
    gru(),
    gru(update_keeps=False),
    gru(reset_after=False),
    gru(biased=False),
    gru_textbook(),
    forget_update(),
    minimal_gated_unit(),
    update_gate_rnn(),
    li_gru(),
    min_gru(),
    leaky_rnn(),
    leaky_rnn_learned(),
    lagged_rnn(),
    lagged_rnn(nearest=False),
    clockwork(),
    hierarchical_rnn(),
    rate_rnn(),
    deep_input_rnn(),
    deep_transition_rnn(),
    deep_transition_rnn(shortcut=False),
    deep_output_rnn(),
    highway_rnn(),
    zoneout(lstm(), 0.1).renamed("zoneout_lstm"),
    layer_norm(gru()).renamed("layer_norm_gru"),
    leaky(gru(), 0.5).renamed("leaky_gru"),
    dropout(lstm(), 0.25).renamed("dropout_lstm"),
    deepen(gru(), 2).renamed("deep_gru"),
    conditioned(lstm()).renamed("conditioned_lstm"),
    residual(elman()).renamed("residual_elman"),
)

ALL: dict[str, Cell] = {cell.name: cell for cell in _CELLS}
"""One cell of every kind, by name."""
FORMER_NAMES = {"gru_lecture": "gru_textbook"}
"""What cells were called before, as old runs and scripts still do."""


def names() -> tuple[str, ...]:
    """The names of `ALL`, in order."""
    return tuple(ALL)


def get(name: Cell | str) -> Cell:
    """The cell of that name; a cell itself is returned.

    Raises:
        InputError: there is none; the message offers the nearest names, or says how a cell is made.

    Example:
        >>> get("gru").name
        'gru'
    """
    if isinstance(name, Cell):
        return name
    if not isinstance(name, str):
        if inspect.isfunction(name):
            own = f"write {name.__name__}() if it makes one, or put @rd.cell above it if it writes the equations"
            raise InputError(f"a cell is wanted here, not the function {name.__name__}; {own}")
        raise InputError(f"a cell is wanted here, or a name such as 'lstm', not {name!r}")
    name = FORMER_NAMES.get(name, name)
    if name not in ALL:
        near = _near(name)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "`rondeau cells` lists them"
        raise InputError(f"there is no cell {name!r}; {hint}")
    return ALL[name]


def _near(name: str) -> list[str]:
    """The names that are nearest to ``name``, however it is cased and joined."""
    plain = {other.replace("_", ""): other for other in ALL}
    key = re.sub(r"[^a-z0-9]", "", name.lower())
    from difflib import get_close_matches

    return [plain[key]] if key in plain else [plain[other] for other in get_close_matches(key, plain, 3, 0.5)]


__all__ = [
    "ALL",
    "chain",
    "clockwork",
    "conditioned",
    "deep_input_rnn",
    "deep_output_rnn",
    "deep_transition_rnn",
    "deepen",
    "dropout",
    "elman",
    "forget_update",
    "get",
    "gru",
    "gru_textbook",
    "hierarchical_rnn",
    "highway_rnn",
    "ind_rnn",
    "janet",
    "jordan",
    "lagged_rnn",
    "layer_norm",
    "layer_norm_lstm",
    "leaky",
    "leaky_rnn",
    "leaky_rnn_learned",
    "li_gru",
    "lstm",
    "lstm_coupled",
    "min_gru",
    "min_lstm",
    "minimal_gated_unit",
    "multiplicative_lstm",
    "names",
    "peephole_lstm",
    "perturbed",
    "perturbed_states",
    "projected_lstm",
    "rate_rnn",
    "residual",
    "update_gate_rnn",
    "zoneout",
]
