"""Modules that run cells. All but the drop-ins are a `Layer`: ``layer(x, state) -> (y, state)``, and so they compose."""

from rondeau.nn.attention import Attention
from rondeau.nn.batch_norm import SequenceBatchNorm
from rondeau.nn.compose import Bidirectional, Composed, Residual, Skip, Stack
from rondeau.nn.convert import CONVENTIONS, from_convention, to_convention
from rondeau.nn.deploy import to_torch
from rondeau.nn.dropin import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from rondeau.nn.dropout import SequenceDropout
from rondeau.nn.initialise import draw
from rondeau.nn.layer import Given, Layer
from rondeau.nn.recurrent import Recurrent
from rondeau.nn.stepper import Stepper

__all__ = [
    "CONVENTIONS",
    "GRU",
    "LSTM",
    "RNN",
    "Attention",
    "Bidirectional",
    "Composed",
    "GRUCell",
    "Given",
    "LSTMCell",
    "Layer",
    "RNNCell",
    "Recurrent",
    "Residual",
    "SequenceBatchNorm",
    "SequenceDropout",
    "Skip",
    "Stack",
    "Stepper",
    "draw",
    "from_convention",
    "to_convention",
    "to_torch",
]
