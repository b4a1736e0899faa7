"""Series on the command line: from a file to forecasts, and what is refused."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from rondeau.data import Columns, read_series
from rondeau.estimators.series_floors import forecast_floors

SMALL = ["--epochs", "1", "--hidden", "4"]


def shops(ahead: int = 0) -> str:
    """Two shops over ten weeks, with holidays that are known ahead and visits that are not."""
    lines = ["shop,day,sales,visits,holiday,kind"]
    for shop, kind in (("a", "city"), ("b", "village")):
        for day in range(70 + ahead):
            date = np.datetime64("2024-01-01") + day
            sales = "" if day >= 70 or (shop, day) == ("b", 5) else f"{10 + 5 * (day % 7 == 5) + day / 50 + (shop == 'a'):.2f}"
            lines.append(f"{shop},{date},{sales},{'' if day >= 70 else day % 7},{int(day % 30 == 0)},{kind}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def folder(place: Path) -> Path:
    """A folder with series in files."""
    (place / "sales.csv").write_text(shops())
    (place / "ahead.csv").write_text(shops(ahead=7))
    (place / "plain.csv").write_text("y\n" + "".join(f"{np.sin(t / 2):.4f}\n" for t in range(120)))
    return place


@pytest.fixture(scope="module")
def plain(folder: Path) -> Path:
    """A run of a forecaster."""
    from rondeau.cli.dataset import DataSet
    from rondeau.cli.fitting import begin
    from rondeau.cli.series_job import FORECAST

    data, parameters = DataSet(str(folder / "plain.csv")), {"horizon": 6, "hidden": 4, "epochs": 1, "random_state": 1}
    parts = FORECAST.parts(data, parameters)
    begin(FORECAST, parameters, data, parts, folder / "forecasts", overwrite=True, as_json=True)
    return folder / "forecasts"


def test_from_a_file_of_series_to_forecasts(rondeau, folder: Path, tmp_path: Path) -> None:
    columns = ["--id", "shop", "--target", "sales", "--past", "visits", "--future", "holiday", "--static", "kind"]
    run = str(tmp_path / "run")
    done = rondeau("fit", "forecast", "sales.csv", *columns, "--horizon", "7", "--run", run, *SMALL)
    assert done.status == 0, done.err
    for said in ("2 series of sales", "daily", "known up to the present: visits", "known ahead: holiday", "missing values: 1"):
        assert said in done.out
    assert "the last 14 steps of each series held out" in done.out
    for floor in ("last value", "7 steps before", "ridge on 14 values", "Forecaster", "80 % intervals"):
        assert floor in done.out
    told = rondeau("predict", run, "sales.csv").line
    assert "has holiday for 0 steps ahead and the horizon is 7; add rows with these" in told
    out = tmp_path / "said.csv"
    assert rondeau("predict", run, "ahead.csv", "--out", str(out)).status == 0
    rows = list(csv.DictReader(out.open()))
    assert len(rows) == 14 and rows[0]["id"] == "a" and rows[0]["time"] == "2024-03-11" and rows[7]["id"] == "b"
    assert all(float(row["sales from"]) <= float(row["sales"]) <= float(row["sales to"]) for row in rows)
    assert json.loads(rondeau("evaluate", run, "ahead.csv", "--json").out)["mean absolute error"] < 10
    again = rondeau("resume", run)
    assert "this run has ended" in again.out and again.out.split("\n\n")[1] == done.out.split("\n\n")[1]
    assert rondeau("resume", run, "--steps", "1").status == 0


def test_what_is_kept_is_what_was_fitted(folder: Path, plain: Path) -> None:
    from rondeau.estimators import Forecaster, load

    series = read_series(folder / "plain.csv")
    fitted = Forecaster(horizon=6, hidden=4, epochs=1, random_state=1).fit(series.until(24))
    assert np.array_equal(fitted.predict_interval(series), load(plain).predict_interval(series))


def test_forecasts_from_the_standard_input(rondeau, folder: Path, plain: Path, monkeypatch) -> None:
    given = (folder / "plain.csv").read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
    rows = list(csv.DictReader(io.StringIO(rondeau("predict", str(plain), "-", "--format", "csv").out)))
    assert [row["time"] for row in rows] == [f"{step}.0" for step in range(120, 126)] and "id" not in rows[0]


DAYS = "day,y\n" + "".join(f"2024-01-{day:02},{day}\n" for day in range(1, 31))
BAD = {
    "two.csv": ("day,y\n2024-01-01,1\n2024-01-02,2\n", "2 steps, so 6 cannot be held out"),
    "short.csv": ("y\n" + "1\n2\n" * 6, "steps, too few for a horizon of 6; choose a shorter horizon"),
    "constant.csv": ("y\n" + "1\n" * 60, "every series is constant, so there is nothing to learn; is it the right column?"),
    "twice.csv": (DAYS + "2024-01-30,9\n", "line 32, column 'day' is the same time as that of line 31"),
    "text.csv": (DAYS.replace(",7\n", ",many\n"), "line 8, column 'y': 'many' is no number"),
    "infinite.csv": (DAYS.replace(",7\n", ",inf\n"), "line 8, column 'y'"),
    "days.csv": (DAYS.replace("2024-01-07", "07/01/2024"), "line 8, column 'day'"),
    "renamed.csv": (DAYS.replace("day,y", "day,a").replace("\n", ",1\n").replace("a,1", "a,b"), "name the target"),
    "nothing.csv": ("day,y\n", "has no rows below its head"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_series_are_one_line_and_nothing_is_left(rondeau, folder: Path, tmp_path: Path, name: str) -> None:
    text, message = BAD[name]
    (folder / name).write_text(text)
    more = ["--time", "day"] if name == "days.csv" else []
    line = rondeau("fit", "forecast", name, *more, "--horizon", "6", "--run", str(tmp_path / "run"), *SMALL).line
    assert message in line and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "forecast", "sales.csv", "--target", "sails"], "has no column 'sails'; is it 'sales'?"),
        (["fit", "forecast", "plain.csv", "--horizon", "0"], "--horizon is at least 1, not 0"),
        (["fit", "forecast", "plain.csv", "--head", "poisson"], "head is"),
        (["fit", "forecast", "plain.csv", "--horizon", "200"], "120 steps, so 200 cannot be held out"),
        (["predict", "FORECASTS", "sales.csv"], "sales.csv"),
        (["evaluate", "FORECASTS", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_options_and_files_that_do_not_fit(
    rondeau, folder: Path, plain: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    place = ["--run", str(tmp_path / "run")] if arguments[0] == "fit" else []
    assert message in rondeau(*(str(plain) if each == "FORECASTS" else each for each in arguments), *place).line


def test_the_floors_of_forecasts(folder: Path) -> None:
    whole = read_series(folder / "plain.csv")
    moments = np.arange(100, 110)
    found = forecast_floors(whole.until(24), whole, np.zeros(10, int), moments, 6)
    actual = np.stack([whole.items[0].values[moment : moment + 6] for moment in moments])
    assert set(found) == {"last value", "ridge on 12 values"} and all(each.shape == actual.shape for each in found.values())
    assert np.allclose(found["last value"][:, 3, 0], whole.items[0].values[moments - 1, 0])
    errors = {name: np.abs(each - actual).mean() for name, each in found.items()}
    assert errors["ridge on 12 values"] < errors["last value"] / 5
    sales = read_series(folder / "sales.csv", Columns(target="sales", id="shop"))
    weekly = forecast_floors(sales.until(14), sales, np.array([1]), np.array([60]), 9)["7 steps before"]
    assert np.array_equal(weekly[0, :, 0], sales.items[1].values[[*range(53, 60), 53, 54], 0])
