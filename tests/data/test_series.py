"""Times, and series from tables, frames and arrays."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondeau.data import Columns, Frequency, SeriesSet, read_sequences, read_series, series_of, series_of_frame
from rondeau.data.formats.table import ROWS
from rondeau.data.times import frequency_of, instants
from rondeau.errors import DataError, InputError

pd = pytest.importorskip("pandas")


def table(text: str, **columns: object) -> SeriesSet:
    return read_series(io.BytesIO(text.encode()), Columns(**columns), kind="csv")  # type: ignore[arg-type]


def refused(text: str, **columns: object) -> str:
    with pytest.raises(DataError) as caught:
        table(text, **columns)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def dates(*texts: str) -> np.ndarray:
    return np.array(texts, "datetime64[ns]")


# Times


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2024-01-31", "2024-01-31"),
        (" 2024-01-31 18:00", "2024-01-31T18:00"),
        ("2024-01-31T18:00:30.5", "2024-01-31T18:00:30.5"),
        ("2024-01-31T18:00Z", "2024-01-31T18:00"),
        ("2024-01-31 18:00+05:30", "2024-01-31T12:30"),
        ("2010/01/01 23:00:00", "2010-01-01T23:00"),
        ("2024-02", "2024-02-01"),
        ("Jan 5 2000", "2000-01-05"),
        ("5 January 2000", "2000-01-05"),
    ],
)
def test_dates_as_people_write_them(written: str, meant: str) -> None:
    assert instants([written, written], str).tolist() == dates(meant, meant).tolist()


@pytest.mark.parametrize("written", ["03/04/2024", "31.01.2024", "2024-02-30", "soon", "2024-01-01 25:00"])
def test_what_is_no_date_or_two_dates_is_refused(written: str) -> None:
    with pytest.raises(DataError, match=f"1: {re.escape(repr(written))} is no date; write it as 2024-01-31"):
        instants(["2024-01-01", written], str)
    with pytest.raises(DataError, match="0: "):
        instants([written], str)


@pytest.mark.parametrize(
    ("alias", "name", "season"),
    [
        ("5min", "every 5 minutes", 288),
        ("30min", "every 30 minutes", 48),
        ("h", "hourly", 24),
        ("6h", "every 6 hours", 4),
        ("D", "daily", 7),
        ("2D", "every 2 days", 4),
        ("B", "every business day", 5),
        ("7D", "weekly", 52),
        ("MS", "monthly", 12),
        ("ME", "monthly", 12),
        ("QS", "quarterly", 4),
        ("YS", "yearly", 1),
        ("YE", "yearly", 1),
        ("10s", "every 10 seconds", 8640),
    ],
)
def test_frequencies_are_inferred_said_and_gone_on_with(alias: str, name: str, season: int) -> None:
    times = pd.date_range("2023-01-31 00:00", periods=40, freq=alias).to_numpy().astype("datetime64[ns]")
    found = frequency_of([times[:30], times[3:20]])
    assert found is not None and str(found) == name and found.season == season
    assert found.positions(times).tolist() == list(range(40))
    assert found.after(times[9], 30).tolist() == times[10:].tolist()
    holes = np.delete(times, [4, 11, 12])
    assert frequency_of([holes]) == found and set(found.positions(holes).tolist()) == set(range(40)) - {4, 11, 12}


def test_months_from_a_day_that_some_months_lack() -> None:
    assert Frequency("months", 1).after(dates("2024-01-30")[0], 2).tolist() == dates("2024-02-29", "2024-03-31").tolist()[
        :1
    ] + (dates("2024-03-30").tolist())
    assert Frequency("months", 1, month_end=True).after(dates("2024-01-31")[0], 1).tolist() == dates("2024-02-29").tolist()


@pytest.mark.parametrize(
    "times",
    [
        dates("2024-01-01", "2024-01-02", "2024-01-03T05:00"),
        np.array([0, 1, 2.5, 4]),
        np.array([0, 1, 1000.0]),
        dates("2024-01-01", "2024-01-09", "2024-03-17", "2024-05-01"),
        dates("2024-01-01"),
    ],
)
def test_irregular_times_have_no_frequency(times: np.ndarray) -> None:
    assert frequency_of([times]) is None


@given(
    st.lists(st.sampled_from([1, 1, 1, 2, 7]), min_size=2, max_size=30).filter(lambda steps: 2 * steps.count(1) >= len(steps)),
    st.sampled_from([1, 60, 90, 3600]),
    st.booleans(),
)
def test_a_grid_with_holes_is_found(steps: list[int], size: int, as_dates: bool) -> None:
    places = np.concatenate([[0], np.cumsum(steps)])
    times = dates("2024-01-01T00:00:01")[0] + places * np.timedelta64(size, "s") if as_dates else 0.25 * size * places + 100
    found = frequency_of([times])
    assert found == Frequency("seconds" if as_dates else "numbers", size if as_dates else 0.25 * size)
    assert found.positions(times).tolist() == places.tolist()


# Tables


def test_one_series() -> None:
    data = table("date,temp\n2024-01-01 00:00,1\n2024-01-01 01:00,?\n2024-01-01 03:00,4\n2024-01-01 04:00,5\n")
    (series,) = data.items
    np.testing.assert_equal(series.values[:, 0], [1, np.nan, np.nan, 4, 5])
    assert series.times.tolist() == pd.date_range("2024-01-01", periods=5, freq="h").to_numpy().tolist()
    assert series.positions.tolist() == [0, 1, 2, 3, 4] and series.gaps.tolist() == [1] * 5
    assert series.observed[:, 0].tolist() == [True, False, False, True, True]
    assert data.describe().splitlines() == [
        "the input: CSV, cells between commas",
        "time in 'date'; target in 'temp'",
        "1 series of temp; length 5",
        "hourly, from 2024-01-01 to 2024-01-01 04:00",
        "missing values: 2 of 5 (40 %)",
    ]


def test_irregular_times_are_kept_as_gaps() -> None:
    data = table("time,y\n0,1\n2,2\n3,3\n7.5,4\n")
    assert data.frequency is None and data.describe().endswith(
        "at irregular times, from 0 to 7.5, steps from 1 to 4.5, median 2"
    )
    assert data.items[0].gaps.tolist() == [1, 1, 0.5, 2.25] and data.items[0].times.tolist() == [0, 2, 3, 7.5]


def test_how_irregular_dates_are() -> None:
    text = "time,y\n2024-01-01 00:00,1\n2024-01-01 00:00:40,2\n2024-01-01 01:00:40,3\n2024-01-09,4\n"
    assert table(text).describe().endswith("to 2024-01-09, steps from 40 seconds to 7.95787 days, median 1 hour")
    assert table("time,y\n2024-01-01,1\n").describe().splitlines()[3].endswith("2024-01-01, one step each")


def test_many_series_with_all_that_is_known_beside_them() -> None:
    rows = ["shop,kind,size,day,sales,visits,holiday"]
    for shop, kind, size in (("a", "city", 3), ("b", "village", 1)):
        rows += [f"{shop},{kind},{size},2024-01-{day:02},{day * size},{day},{day % 2}" for day in range(1, 9)]
        rows += [f"{shop},{kind},{size},2024-01-{day:02},,,{day % 2}" for day in (9, 10)]
    order = [rows[0], *sorted(rows[1:], key=lambda row: row.split(",")[3])]  # shops alternate
    data = table(
        "\n".join(order), target="sales", id="shop", features=("visits",), future=("holiday",), static=("kind", "size")
    )
    first, second = data.items
    assert [each.id for each in data.items] == ["a", "b"] and data.classes == {"kind": ("city", "village")}
    assert first.static.tolist() == [0, 3] and second.static.tolist() == [1, 1]
    assert len(second) == 8 and second.ahead == 2 and second.future[:, 0].tolist() == [1, 0] * 5
    assert second.past[:, 0].tolist() == list(range(1, 9)) and len(second.times) == 8
    assert str(data.frequency) == "daily" and data.frequency.season == 7  # type: ignore[union-attr]
    assert "known up to the present: visits" in data.describe() and "known ahead: holiday" in data.describe()
    data.check_ahead(2)
    with pytest.raises(DataError, match="series 'a' has holiday for 2 steps ahead and the horizon is 3; add rows"):
        data.check_ahead(3)
    shorter = data.until(3)
    assert [len(each) for each in shorter.items] == [5, 5] and shorter.items[0].ahead == 5
    with pytest.raises(DataError, match="series 'a' has 8 steps, so 8 cannot be held out"):
        data.until(8)


def test_each_column_a_series() -> None:
    data = table("day,a,b\n2024-01-01,1,2\n2024-01-02,3,\n2024-01-04,5,6\n", shape="wide")
    assert [each.id for each in data.items] == ["a", "b"] and data.targets == ("value",)
    np.testing.assert_equal(data.items[1].values[:, 0], [2, np.nan, np.nan, 6])
    assert "a series in each of 2 columns" in data.describe()
    parts = (data.items[0].past, data.items[0].future, data.items[0].static)
    assert [part.shape for part in parts] == [(4, 0), (4, 0), (0,)]
    assert "name no id, features, future or static" in refused("day,a,b\n2024-01-01,1,2\n", shape="wide", features=("a",))


def test_a_table_without_times_goes_by_its_rows() -> None:
    data = table("demand\n5\n6\n7\n")
    assert data.items[0].times.tolist() == [0, 1, 2] and str(data.frequency) == "every 1"


@pytest.mark.parametrize(
    ("text", "columns", "said"),
    [
        ("day,y\n2024-01-01,1\n2024-01-01,2\n", {}, "line 3, column 'day' is the same time as that of line 2; keep one row"),
        ("day,y\n2024-01-02,1\n2024-01-01,2\n", {}, "line 3, column 'day' is before that of line 2; sort the rows by time"),
        (
            "id,day,y\na,2024-01-02,1\nb,2024-01-01,2\na,2024-01-01,2\n",
            {},
            "line 4, column 'day' is before that of line 2; sort",
        ),
        ("day,y\n2024-01-01,1\n,2\n", {"time": "day"}, "line 3, column 'day' is missing; every row needs its time"),
        ("day,y\n2024-01-01,1\n01/02/2024,2\n", {"time": "day"}, "'01/02/2024' is no date"),
        ("day,y\n01/02/2024,1\n02/02/2024,2\n", {}, "line 2, column 'day': '01/02/2024' is no date"),
        ("seen,y\n2024-01-01,1\n2024-01-02,1\nsoon,2\n", {}, "line 4, column 'seen': 'soon' is no date"),
        ("day,y\n2024-01-01,1\n2024-01-02,cold\n", {"target": "y"}, "line 3, column 'y': 'cold' is no number"),
        ("day,y\n2024-01-01,1\n2024-01-02,-inf\n", {}, "line 3, column 'y' is infinite"),
        ("day,y\n2024-01-01,\n2024-01-02,?\n", {"target": "y"}, "line 2, column 'y': series 'series' has no value at all"),
        ("day,p,q\n2024-01-01,1,2\n", {}, "not clear what is to be forecast.*'p', 'q'.*the shape is wide"),
        ("day,y\n2024-01-01,1\n", {"target": "z"}, "has no column 'z'"),
        ("day,y,f\n2024-01-01,1,2\n2024-01-02,1,\n", {"target": "y", "future": ("f",)}, "line 3, column 'f' is missing"),
        (
            "day,y,s\n2024-01-01,1,2\n2024-01-02,1,3\n",
            {"target": "y", "static": ("s",)},
            "line 3, column 's': '3' was '2' before in this series",
        ),
        (
            "day,y,f\n2024-01-01,1,2\n2024-01-02,1,3\n2024-01-04,1,3\n2024-01-05,1,3\n",
            {"target": "y", "future": ("f",)},
            "has no row for the step after 2024-01-02",
        ),
        ("day,y\n", {}, "no rows below its head"),
    ],
)
def test_tables_that_are_wrong(text: str, columns: dict[str, object], said: str) -> None:
    assert re.search(said, refused(text, **columns)), refused(text, **columns)


def test_kinds_of_file_without_times() -> None:
    with pytest.raises(DataError, match="of the kind ts, which holds no series at times"):
        read_series(io.BytesIO(b"@data\n1,2\n"))


def test_dates_of_steps_of_sequences() -> None:
    text = "id,time,a,label\nq,2024-01-01,1,x\nq,{},1,x\nr,2024-01-01,1,y\n"
    data = read_sequences(io.BytesIO(text.format("2024-01-03").encode()), goal="label")
    assert data.times is not None and np.diff(data.times[0]).tolist() == [2 * 86400]
    day = read_sequences(io.BytesIO(text.replace("time", "day").format("2024-01-03").encode()), goal="label")
    assert day.columns is not None and day.columns.time == "day"
    for wrong, said in (("", "is missing"), ("soon", "'soon' is no date"), ("5", "is before that|no date")):
        with pytest.raises(DataError, match=f"line 3, column 'time'.*({said})"):
            read_sequences(io.BytesIO(text.format(wrong).encode()), goal="label")


def test_times_are_of_one_kind_far_into_the_file() -> None:
    dates = "".join(f"{date},1\n" for date in pd.date_range("2020-01-01", periods=ROWS).strftime("%Y-%m-%d"))
    assert f"line {ROWS + 2}, column 'time': '5' is no date" in refused("time,y\n" + dates + "5,1\n")
    numbers = "".join(f"{step},1\n" for step in range(ROWS))
    assert f"line {ROWS + 2}, column 'time': '2030-01-01' is no number" in refused("time,y\n" + numbers + "2030-01-01,1\n")


def test_what_cannot_be_learned_from() -> None:
    def check(*series: list[float], horizon: int = 1) -> None:
        series_of([np.array(each) for each in series]).check(horizon)

    check([1, 2, 3], [5, 5, 5])
    for series, horizon, said in (
        (([1.0, 2.0],), 1, "series '0' has 2 values; a series needs at least three"),
        (([1, 2, 3.0], [1, np.nan, 2, np.nan]), 1, "series '1' has 2 values"),
        (([1, 2, 3.0],), 3, "series '0' has 3 steps, too few for a horizon of 3; choose a shorter horizon"),
        (([4, 4, 4.0], [5, np.nan, 5, 5]), 1, "every series is constant"),
    ):
        with pytest.raises(DataError, match=said):
            check(*series, horizon=horizon)
    assert "constant: 1 series: 1" in series_of([np.arange(3.0), np.ones(3)]).describe()


# Frames


def test_frames_long_and_wide() -> None:
    index = pd.date_range("2024-01-01", periods=4, freq="h")
    one = series_of_frame(pd.Series([1, 2, None, 4.0], index=index, name="temp"))
    assert (
        one.targets == ("temp",) and str(one.frequency) == "hourly" and one.items[0].times.tolist() == index.to_numpy().tolist()
    )
    wide = pd.DataFrame({"a": [1.0, 2, 3, 4], "b": [5, 6, 7, 8]}, index=index)
    both = series_of_frame(wide, Columns(shape="wide"))
    assert [each.values[:, 0].tolist() for each in both.items] == [[1, 2, 3, 4], [5, 6, 7, 8]]
    long = wide.rename_axis("when").reset_index().melt("when", var_name="who")
    again = series_of_frame(long)
    assert [each.id for each in again.items] == ["a", "b"] and again.items[1].values.tolist() == both.items[1].values.tolist()
    levels = series_of_frame(long.set_index(["who", "when"]))
    assert [each.values.tolist() for each in levels.items] == [each.values.tolist() for each in again.items]
    assert len(series_of(wide, Columns(target=("a", "b"))).items) == 1 and series_of(wide["a"]).targets == ("a",)
    periods = pd.Series([1.0, 2, 3], index=pd.period_range("2024-01", periods=3, freq="M"))
    assert str(series_of_frame(periods).frequency) == "monthly"


def test_timezones_are_taken_to_utc_and_midnights_are_days() -> None:
    hours = pd.date_range("2024-10-26 22:00", periods=6, freq="h", tz="UTC").tz_convert("Europe/Berlin")
    found = series_of_frame(pd.Series(range(6), index=hours))
    assert str(found.frequency) == "hourly" and found.items[0].times[0] == np.datetime64("2024-10-26T22:00")
    days = pd.date_range("2024-10-20", periods=12, freq="D", tz="Europe/Berlin")
    found = series_of_frame(pd.Series(range(12), index=days))
    assert str(found.frequency) == "daily" and found.items[0].times[0] == np.datetime64("2024-10-20")
    with pytest.raises(DataError, match="row 3, column 'time' is the same time as that of row 2.*their offset from UTC"):
        series_of_frame(pd.Series(range(6), index=hours.tz_localize(None)))


def test_frames_that_are_wrong() -> None:
    index = pd.to_datetime(["2024-01-02", "2024-01-01"])
    for frame, said in (
        (pd.DataFrame({"y": [1, 2]}, index=index), "the frame, row 1, column 'time' is before that of row 0"),
        (pd.DataFrame({"y": [1, "x"], "t": [1, 2]}), "row 1, column 'y': 'x' is no number"),
        (pd.DataFrame({"y": [1, np.inf], "t": [1, 2]}), "row 1, column 'y' is infinite"),
        (pd.DataFrame({"t": [pd.Timestamp("2024-01-01"), pd.NaT], "y": [1, 2]}), "row 1, column 't' is missing"),
        (pd.DataFrame([[1, 2]], columns=["y", "y"]), "two columns of the frame are called 'y'"),
        (pd.DataFrame({"y": []}), "the frame has no rows"),
        ([1, 2], "a pandas frame or series is needed, not list"),
    ):
        columns = Columns(time="t", target="y") if isinstance(frame, pd.DataFrame) and "t" in frame else None
        with pytest.raises(DataError, match=said):
            series_of_frame(frame, columns)


@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=9), min_size=1, max_size=4))
def test_a_frame_gives_back_its_series(series: list[list[float]]) -> None:
    index = [
        (f"n{number}", pd.Timestamp("2024-01-01") + pd.Timedelta(step, "h"))
        for number, each in enumerate(series)
        for step in range(len(each))
    ]
    frame = pd.DataFrame(
        {"y": [value for each in series for value in each]}, index=pd.MultiIndex.from_tuples(index, names=["who", "when"])
    )
    found = series_of_frame(frame, Columns(id="who", time="when", target="y"))
    assert [each.values[:, 0].tolist() for each in found.items] == series


# Arrays


def test_series_from_arrays() -> None:
    assert series_of(np.arange(5)).items[0].values.shape == (5, 1) and len(series_of([1, 2, 3.0])) == 1
    assert series_of(np.ones((5, 2))).targets == ("value 1", "value 2")
    several = series_of([np.arange(5), [1, 2, np.nan]])
    assert [len(each) for each in several.items] == [5, 3] and several.items[1].id == "1"


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ([1, np.inf, 2], "y has infinity .inf. at step 1, feature 0"),
        ([[1, 2, 3], [1, np.inf]], "y.1. has infinity"),
        (["a", "b"], "y has something that is no number"),
        ("abc", "y is 'abc'; give an array"),
        (None, "y is None"),
        ([], "shape .0, 1."),
        (5.0, r"y has the shape \(\)"),
        (np.ones((2, 2, 2)), "shape .2, 2, 2."),
        ([np.ones((3, 2)), np.ones(3)], "y.1. has 1 targets and y.0. has 2"),
    ],
)
def test_series_from_arrays_that_are_wrong(given_: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        series_of(given_)
    with pytest.raises(InputError, match="columns are for a pandas frame"):
        series_of([1.0, 2], Columns(target="y"))
