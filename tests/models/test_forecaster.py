"""Heads, the linear forecast from lags, and the network that corrects it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rondeau.cells import ALL
from rondeau.data import series_of
from rondeau.data.windows import Covariates, Panel, WindowBatches, Windows, WindowShape
from rondeau.errors import InputError
from rondeau.models.forecaster import ForecastNetwork, SeriesFeatures
from rondeau.models.heads import HEADS, NegativeBinomial, Normal, Point, Quantiles, StudentT, check_levels
from rondeau.models.lag_skip import Fold, LagSkip, Recipe, base_of, chosen, recipes, season_of

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def windows(steps: int = 200, horizon: int = 3, reach: int = 20, seed: int = 0) -> Windows:
    """Windows of a noisy wave with a season of 8 steps."""
    draw = np.random.default_rng(seed)
    wave = np.sin(np.arange(steps) * 2 * np.pi / 8) + 0.1 * draw.normal(size=steps)
    series = series_of(wave)
    panel = Panel(series, Covariates.of(series, (), 8), horizon)
    return WindowBatches(panel, WindowShape(reach, 4, horizon), np.array([reach]), np.array([steps - horizon])).spread(10_000)


@pytest.mark.parametrize("name", HEADS)
def test_quantiles_of_a_head_do_not_cross(name: str) -> None:
    head = HEADS[name]()
    torch.manual_seed(0)
    parameters = head(3 * torch.randn(50, head.size), 5 + torch.randn(50).abs(), torch.ones(50))
    found = head.quantiles(parameters, LEVELS)
    assert found.shape == (50, 5) and (found.diff(dim=-1) >= 0).all()


@pytest.mark.parametrize(
    ("name", "draw"),
    [
        ("normal", lambda n: 5 + 2 * torch.randn(n)),
        ("student_t", lambda n: 5 + 2 * torch.distributions.StudentT(4.0).sample((n,))),
        ("negative_binomial", lambda n: torch.distributions.NegativeBinomial(4.0, probs=torch.tensor(0.6)).sample((n,))),
        ("quantiles", lambda n: 5 + 2 * torch.randn(n)),
    ],
)
def test_a_head_learns_a_distribution(name: str, draw) -> None:
    torch.manual_seed(0)
    y, head = draw(2000), HEADS[name]()
    raw = torch.zeros(head.size, requires_grad=True)
    optimizer = torch.optim.Adam([raw], lr=0.1)
    unit = torch.full_like(y, 1.5)
    for _ in range(120):
        optimizer.zero_grad()
        head.loss(head(raw.expand(len(y), -1), torch.full_like(y, 4.0), unit), y, unit).mean().backward()
        optimizer.step()
    found = head.quantiles(head(raw.detach()[None], torch.tensor([4.0]), torch.tensor([1.5])), LEVELS)[0]
    below = [(float((y < q).float().mean()), float((y <= q).float().mean())) for q in found]
    for level, (low, high) in zip(LEVELS, below):
        assert low - 0.05 <= level <= high + 0.05, (name, level, low, high)


def test_the_likelihoods_are_those_of_scipy() -> None:
    from scipy import stats

    y, unit = torch.tensor([3.0, 0.0, 7.0]), torch.ones(3)
    normal = Normal().loss(torch.tensor([[2.0, 1.5]] * 3), y, unit).numpy()
    np.testing.assert_allclose(normal, -stats.norm(2, 1.5).logpdf(y) - 0.5 * np.log(2 * np.pi), rtol=1e-5)
    student = StudentT().loss(torch.tensor([[2.0, 1.5, 5.0]] * 3), y, unit).numpy()
    np.testing.assert_allclose(student, -stats.t(5, 2, 1.5).logpdf(y), rtol=1e-5)
    counts = NegativeBinomial().loss(torch.tensor([[2.0, 0.5]] * 3), y, unit).numpy()
    np.testing.assert_allclose(counts, -stats.nbinom(2, 0.5).logpmf(y), rtol=1e-5)


def test_raw_outputs_of_zero_say_the_location() -> None:
    for name, made in HEADS.items():
        head = made()
        parameters = head(torch.zeros(1, head.size), torch.tensor([50.0]), torch.tensor([2.0]))
        assert abs(float(head.quantiles(parameters, (0.5,))) - 50) < 1.01, name


def test_what_is_drawn_lies_as_the_quantiles_say() -> None:
    parameters = torch.tensor([[1.0, 2.0]]).expand(20_000, 2)
    drawn = Normal().sample(parameters, torch.Generator().manual_seed(0))
    assert abs(float(drawn.mean()) - 1) < 0.05 and abs(float(drawn.std()) - 2) < 0.08
    again = Normal().sample(parameters, torch.Generator().manual_seed(0))
    assert torch.equal(drawn, again)


def test_levels_go_up() -> None:
    assert check_levels([0.1, 0.9]) == (0.1, 0.9)
    for wrong in ([], [0.9, 0.1], [0.0, 0.5], [0.5, 0.5]):
        with pytest.raises(InputError, match="go up"):
            check_levels(wrong)
    with pytest.raises(InputError, match="median"):
        Quantiles((0.1, 0.9))
    with pytest.raises(InputError, match="absolute or squared"):
        Point("cubic")


def test_a_season_is_repeated() -> None:
    values = torch.arange(12.0)[None, :, None]
    assert base_of(values, 8, 4, 3)[0, :, 0].tolist() == [5, 6, 7, 5]
    assert base_of(values, 8, 4, 0)[0, :, 0].tolist() == [7, 7, 7, 7]
    assert season_of(windows(), (8, 16), 3) == 8


def test_the_linear_forecast_is_ridge_regression() -> None:
    from sklearn.linear_model import Ridge

    given, horizon = windows(), 3
    recipe = Recipe(8, tuple(range(1, 17)), 8, alpha=0.01)
    skip = LagSkip(20, 8, horizon, 1, 0)
    skip.fit([recipe], given)
    values = given.values[..., 0].double().numpy()
    level = values[:, 12:20].mean(1, keepdims=True)
    features = np.concatenate([values[:, 4:20][:, ::-1] - level, level, np.ones_like(level)], 1)
    base = values[:, 12:15]
    model = Ridge(alpha=0.01 * len(values), fit_intercept=False).fit(features, values[:, 20:] - base)
    expected = model.predict(features) + base
    found = skip(given.values[:, :20], torch.zeros(len(given), 0))
    np.testing.assert_allclose(found[..., 0].numpy(), expected, atol=1e-4)


def test_recipes_are_averaged() -> None:
    given = windows()
    one, other = (Recipe(8, tuple(range(1, n)), 8, alpha=0.01) for n in (9, 17))
    found = []
    for members in ([one], [other], [one, other, other]):
        skip = LagSkip(20, 8, 3, 1, 0)
        skip.fit(members, given)
        found.append(skip(given.values[:, :20], torch.zeros(len(given), 0)))
    torch.testing.assert_close(found[2], (found[0] + 2 * found[1]) / 3, atol=1e-4, rtol=1e-4)


def test_the_recipe_that_sees_enough_is_chosen() -> None:
    """A value that is the one 12 steps before, and noise: only a recipe that looks so far back will do."""
    draw = np.random.default_rng(0)
    noise = draw.normal(size=24)
    y = np.concatenate([np.tile(noise[:12], 40)]) + 0.01 * draw.normal(size=480)
    series = series_of(y)
    panel = Panel(series, Covariates.of(series, (), 0), 2)
    given = WindowBatches(panel, WindowShape(20, 1, 2), np.array([20]), np.array([478])).spread(1000)
    folds = [Fold(torch.arange(0, 200), torch.arange(0, 202)), Fold(torch.arange(200, 400), torch.arange(198, 402))]
    near, far = Recipe(0, (1, 2, 3), 3), Recipe(0, tuple(range(1, 15)), 3)
    assert {recipe.lags for recipe in chosen([near, far], given, folds, 2)} == {far.lags}


def test_recipes_reach_no_farther_than_they_may() -> None:
    found = recipes((24, 168), 168, 24, 400, True)
    assert max(recipe.lags[-1] for recipe in found) <= 400 and {recipe.beside for recipe in found} == {False, True}
    assert any(recipe.lags[-1] > 168 and len(recipe.lags) < 100 for recipe in found)  # around the same time last week
    assert [recipe.lags for recipe in recipes((), 0, 5, 4, False)] == [(1, 2, 3, 4)]


def network(head: str = "quantiles", cell="gru", horizon: int = 3, **options) -> ForecastNetwork:
    skip = LagSkip(20, 8, horizon, 1, 0)
    return ForecastNetwork(SeriesFeatures(1, 1, 0, 0, (8,)), skip, 4, HEADS[head](), cell=cell, hidden=8, **options)


def test_untrained_it_says_what_the_linear_forecast_says() -> None:
    given, made = windows(), network("point")
    made.skip.fit([Recipe(8, tuple(range(1, 17)), 8, alpha=0.01)], given)
    expected = made.skip(given.values[:, :20], torch.zeros(len(given), 0))
    torch.testing.assert_close(made(given)[..., 0], expected)


def test_what_comes_after_the_moment_changes_nothing() -> None:
    torch.manual_seed(0)
    given, made = windows(), network()
    torch.nn.init.normal_(made.out.weight)
    before = made(given)
    given.values[:, 20:] = 99.0
    assert torch.equal(made(given), before)


def test_what_is_missing_ahead_costs_nothing() -> None:
    given, made = windows(), network()
    given.observed[:, 20] = 0
    losses = made.loss(given)
    assert (losses[:, 0] == 0).all() and (losses[:, 1:] > 0).any()


@pytest.mark.parametrize("cell", ["lstm", "min_gru", "peephole_lstm_full", "clockwork"])
def test_any_cell_encodes(cell: str) -> None:
    given, made = windows(), network(cell=ALL[cell])
    made.loss(given).mean().backward()
    assert made(given).shape == (len(given), 3, 1, 7)


def test_counts_are_said_in_their_own_numbers() -> None:
    draw = np.random.default_rng(0)
    series = series_of(draw.poisson(20, size=100).astype(float))
    panel = Panel(series, Covariates.of(series, (), 0), 3)
    given = WindowBatches(panel, WindowShape(20, 4, 3), np.array([20]), np.array([97])).spread(1000)
    made = network("negative_binomial")
    said = made(given).detach()
    assert 10 < float(said[..., 0].mean()) < 30
    quantiles = made.own_scale(given, made.head.quantiles(said, (0.1, 0.9)))
    assert abs(float(quantiles.mean())) < 1
