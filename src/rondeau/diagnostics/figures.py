"""One figure for each record, drawn by matplotlib; `rondeau.diagnostics.svg` makes a picture for a page of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rondeau.diagnostics.activations import Saturation
from rondeau.diagnostics.drawing import COLOURS, INK, legend, panels, plain
from rondeau.diagnostics.flow import GradientFlow
from rondeau.diagnostics.jacobi import Jacobians
from rondeau.diagnostics.lags import ByLag
from rondeau.diagnostics.matrices import Spectrum
from rondeau.diagnostics.memory import Memory
from rondeau.diagnostics.units import Gates
from rondeau.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def flow_figure(flow: GradientFlow) -> Figure:
    """The norm of the gradient at every step, over the whole batch, a line a state, on a logarithmic scale."""
    figure, (axes,) = panels()
    for name, colour in _coloured(flow.norms):
        axes.plot(_positive(flow.over_batch(name)), color=colour, label=f"{name} (x {flow.growth(name):.3g} a step back)")
    _labelled(axes, "gradient of the loss at every step", "step", "norm of dL/ds")
    axes.set_yscale("log")
    legend(axes)
    return figure


def lag_figure(found: ByLag, names: tuple[str, ...] = ()) -> Figure:
    """The norm of every term of the gradient by lag, a line a parameter or gate, on a logarithmic scale.

    Args:
        found: the record.
        names: which of its terms; all if not given.
    """
    figure, (axes,) = panels()
    for place, (name, colour) in enumerate(_coloured(names or found.terms)):
        style = ("-", "--", ":")[place // len(COLOURS) % 3]
        axes.plot(found.lags, _positive(found.norms(name)), color=colour, linestyle=style, label=name)
    _labelled(axes, "terms of the gradient by how far they went back", "lag (steps)", "norm of the term")
    axes.set_yscale("log")
    legend(axes)
    return figure


def jacobian_figure(found: Jacobians, name: str) -> Figure:
    """A layer's steps: the singular values of each for the first sequence, and the influence of a state by lag, over all."""
    figure, (steps, lags) = panels(2)
    steps.plot(found.singular_values(name)[0], color=COLOURS[0], linewidth=0.8)
    steps.plot(found.spectral_radius(name)[0], color=COLOURS[1], label="spectral radius")
    _labelled(steps, f"singular values of ds_t/ds_(t-1), {name}", "step, as it is read", "stretch")
    legend(steps)
    influence = found.influence(name)
    lags.plot(_positive(influence), color=COLOURS[0])
    lags.axhline(0.5, color=INK, linewidth=0.6, linestyle=":")
    lags.set_yscale("log")
    _labelled(
        lags, f"influence of a state; under a half after {found.half_life(name):.3g} steps", "lag (steps)", "|ds_t/ds_(t-k)|"
    )
    return figure


def saturation_figure(*found: Saturation) -> Figure:
    """The share of every gate near the lower end of its range (dashed) and near the upper one: over time for one record, and
    over training for several, each averaged over time."""
    figure, (axes,) = panels()
    for name, colour in _coloured(found[0].low):
        for kind, style in (("low", "--"), ("high", "-")):
            values = [getattr(record, kind)[name] for record in found]
            over = values[0] if len(found) == 1 else [np.nanmean(value) for value in values]
            axes.plot(over, color=colour, linestyle=style, label=name if kind == "high" else None)
    below = "step" if len(found) == 1 else "look"
    _labelled(axes, "saturated: at the upper end (line), at the lower end (dashes)", below, "share of units")
    axes.set_ylim(-0.02, 1.02)
    legend(axes)
    return figure


def spectrum_figure(found: Spectrum, name: str) -> Figure:
    """The eigenvalues of a matrix beside the unit circle, and the norms of its powers beside what the largest one says."""
    figure, (plane, powers) = panels(2)
    values, angle = found.eigenvalues[name], np.linspace(0, 2 * np.pi, 200)
    plane.plot(np.cos(angle), np.sin(angle), color=INK, linewidth=0.6)
    plane.plot(values.real, values.imag, "o", color=COLOURS[0], markersize=4)
    plane.set_aspect("equal")
    _labelled(plane, f"eigenvalues of {name}", "real part", "imaginary part")
    powers.plot(_positive(found.powers[name]), color=COLOURS[0], label="|W^k|")
    powers.plot(_positive(found.predicted(name)), color=COLOURS[1], linestyle="--", label="radius^k")
    powers.set_yscale("log")
    powers.set_ylim(float(np.nanmin(_positive(found.powers[name]))) / 3, 3 * float(found.powers[name].max()))
    _labelled(powers, f"powers; {found.transient(name):.3g} times what the eigenvalue says, at most", "k", "norm")
    legend(powers)
    return figure


def memory_figure(found: Memory, text: str = "", row: int = 0) -> Figure:
    """A heat map of what the output at every step draws from the input at every step, of one sequence.

    Args:
        found: the record.
        text: what was read, a character a step, to stand along both axes; numbers if not given.
        row: which sequence.

    Raises:
        InputError: the text has another length.
    """
    length = int(found.lengths[row])
    figure, (axes,) = panels(height=5.0)
    drawn = axes.imshow(found.influence[row, :length, :length], cmap="Blues", interpolation="nearest")
    figure.colorbar(drawn, ax=axes).ax.tick_params(colors=INK, labelsize=8)
    if text:
        _check_text(text, length)
        letters = [_shown(letter) for letter in text]
        axes.set_xticks(range(length), letters, fontfamily="monospace")
        axes.set_yticks(range(length), letters, fontfamily="monospace")
    _labelled(axes, "how much the output depends on the input", "step of the input", "step of the output")
    axes.tick_params(labelsize=min(9.0, 280 / max(length, 1)))
    return figure


def text_figure(text: str, values: Sequence[float] | np.ndarray, title: str, columns: int = 64) -> Figure:
    """A text whose characters are coloured by a number each: purple where it is high, orange where it is low.

    Args:
        text: a character a step.
        values: (characters,), such as ``found.values["layer.f"][0, :, unit]`` or ``found.influence[0, step]``.
        title: what the numbers are.
        columns: characters a line.

    Raises:
        InputError: there is not one number for each character.
    """
    _check_text(text, len(values))
    rows = max(-(-len(text) // columns), 1)
    grid = np.full(rows * columns, np.nan)
    grid[: len(text)] = values
    figure, (axes,) = panels(height=0.6 + 0.24 * rows)
    low, high = float(np.nanmin(grid)), float(np.nanmax(grid))
    drawn = axes.imshow(grid.reshape(rows, columns), cmap="PuOr", aspect="auto", interpolation="nearest")
    drawn.set_clim(low - (high - low) / 2, high + (high - low) / 2)  # pale, so that letters stay readable
    beside = figure.colorbar(drawn, ax=axes).ax
    beside.tick_params(colors=INK, labelsize=8)
    beside.set_ylim(low, high if high > low else low + 1)
    for place, letter in enumerate(text):
        axes.text(
            place % columns, place // columns, _shown(letter), fontfamily="monospace", fontsize=8, ha="center", va="center"
        )
    axes.set_axis_off()
    axes.set_title(title, fontsize=9, color=INK)
    return figure


def gate_figure(found: Gates, name: str, unit: int, text: str, row: int = 0) -> Figure:
    """One unit of a gate or state along the text that was read.

    Raises:
        InputError: the text has another length.
    """
    values = found.values[name][row, :, unit]
    return text_figure(text, values[np.isfinite(values)], f"unit {unit} of {name}")


def _check_text(text: str, length: int) -> None:
    if len(text) != length:
        raise InputError(f"the text has {len(text)} characters for {length} steps; give the characters that were read")


def _shown(letter: str) -> str:
    """A character as it can be seen; also the sign by which matplotlib begins mathematics."""
    return {"\n": "¶", "\t": "→", "$": r"\$"}.get(letter, letter)


def _coloured(names: Iterable[str]) -> list[tuple[str, str]]:
    """Each name with a colour."""
    return [(name, COLOURS[place % len(COLOURS)]) for place, name in enumerate(names)]


def _positive(values: np.ndarray) -> np.ndarray:
    """What a logarithmic scale can show: gaps where there is nothing."""
    return np.where(values > 0, values, np.nan)


def _labelled(axes: Axes, title: str, below: str, left: str) -> None:
    axes.set(title=title, xlabel=below, ylabel=left)
    plain(axes)
