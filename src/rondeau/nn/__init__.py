"""Modules that run cells. All but the drop-ins obey ``(x, state=None, *, lengths=None) -> (y, state)``."""

from rondeau.nn.compose import Bidirectional, Residual, SequenceDropout, Skip, Stack, is_recurrent
from rondeau.nn.convert import CONVENTIONS, from_convention, to_convention
from rondeau.nn.deploy import to_torch
from rondeau.nn.dropin import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from rondeau.nn.initialise import draw
from rondeau.nn.recurrent import Recurrent

__all__ = [
    "CONVENTIONS",
    "GRU",
    "LSTM",
    "RNN",
    "Bidirectional",
    "GRUCell",
    "LSTMCell",
    "RNNCell",
    "Recurrent",
    "Residual",
    "SequenceDropout",
    "Skip",
    "Stack",
    "draw",
    "from_convention",
    "is_recurrent",
    "to_convention",
    "to_torch",
]
