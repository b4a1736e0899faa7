"""Sequences as a value, from arrays and lists, from frames, and their splits."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rondeau.data import (
    Columns,
    Labels,
    Sequences,
    StepLabels,
    StepTargets,
    Targets,
    sequences_of,
    sequences_of_frame,
    split_groups,
    split_sequences,
)
from rondeau.errors import DataError, InputError

# From arrays and lists


@pytest.mark.parametrize(
    ("X", "shapes"),
    [
        ([np.zeros((3, 2)), np.ones((5, 2))], [(3, 2), (5, 2)]),
        ([[1, 2, 3], [4]], [(3, 1), (1, 1)]),
        ([[[1, 2]], [[3, 4], [5, 6]]], [(1, 2), (2, 2)]),
        (np.zeros((4, 3, 2)), [(3, 2)] * 4),
        (np.zeros((4, 3), int), [(3, 1)] * 4),
        ([torch.zeros(3, 2), torch.zeros(1, 2)], [(3, 2), (1, 2)]),
        (torch.zeros(2, 3, 1), [(3, 1)] * 2),
        (np.array([np.zeros(2), np.zeros(3)], object), [(2, 1), (3, 1)]),
        ((range(2), range(3)), [(2, 1), (3, 1)]),
    ],
)
def test_numbers_of_any_lengths(X: object, shapes: list[tuple[int, int]]) -> None:
    data = sequences_of(X)
    assert data.kind == "numbers" and [item.shape for item in data.items] == shapes
    assert all(item.dtype in (np.float32, np.float64) for item in data.items)


def test_float32_stays_and_other_numbers_become_float64() -> None:
    assert sequences_of([np.zeros(2, np.float32)]).items[0].dtype == np.float32
    assert {sequences_of([np.zeros(2, kind)]).items[0].dtype for kind in (bool, np.int8, np.float16)} == {np.dtype(float)}


def test_texts_and_tokens() -> None:
    assert sequences_of(["ab", "c"]).kind == sequences_of(np.array(["ab", "c"])).kind == "texts"
    tokens = sequences_of([["a", "b"], ("c",)])
    assert tokens.kind == "tokens" and tokens.items == [["a", "b"], ["c"]]
    assert sequences_of(["ab", "c"], kind="texts").lengths.tolist() == [2, 1]


@pytest.mark.parametrize(
    ("X", "more", "said"),
    [
        ([[1.0], [1, np.nan]], {}, "X[1] has NaN at step 1, feature 0; fill it in"),
        ([[[1, 2], [3, np.inf]]], {}, "X[0] has infinity (inf) at step 1, feature 1"),
        ([[[1, 2], [3, -np.inf]]], {"missing": True}, "infinity (inf) at step 1, feature 1; NaN stands for"),
        ([np.zeros((3, 2)), np.zeros((3, 1))], {}, "X[1] has 1 feature and X[0] has 2; give every sequence the same"),
        ([np.zeros((3, 2))], {"features": 3}, "X[0] has 2 features and the model was fitted to 3"),
        ([np.zeros((3, 2)), np.zeros((0, 2))], {}, "X[1] is an empty sequence, of the shape (0, 2)"),
        ([[1], []], {}, "X[1] is an empty sequence"),
        (["a", "  "], {}, "X[1] is an empty text"),
        ([], {}, "X has no sequences (0 samples)"),
        (np.zeros((0, 3, 2)), {}, "X has no sequences (0 samples)"),
        (np.zeros((3, 0)), {}, "X has empty sequences"),
        (np.zeros(5), {}, "it is one sequence at most; Reshape your data: give a list of sequences, [X]"),
        (np.zeros((1, 1, 1, 1)), {}, "X has 4 dimensions"),
        ([np.zeros((1, 1, 1))], {}, "X[0] has the shape (1, 1, 1)"),
        ([1.0, 2.0], {}, "X[0] has the shape ()"),
        ([[1, 2], [[1, 2], [3]]], {}, "X[1] is no array of numbers"),
        ([[1, 2], "text"], {}, "X[1] is the text 'text' among sequences of another kind"),
        ([[1, "x"]], {}, "X[0] has something that is no number"),
        ([np.zeros(2, "datetime64[ns]")], {}, "X[0] has something that is no number, of the type datetime64[ns]"),
        ([[1, 2j]], {}, "X[0] has complex numbers"),
        ("text", {}, "X is 'text'; give a list of arrays"),
        (None, {}, "X is None"),
        ({"a": 1}, {}, "X is {'a': 1}"),
        (["a", "b"], {"kind": "numbers"}, "X has sequences of the kind texts, and the model was fitted to numbers"),
    ],
)
def test_sequences_that_are_wrong(X: object, more: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        sequences_of(X, **more)  # type: ignore[arg-type]
    assert isinstance(caught.value, ValueError) and "\n" not in str(caught.value)


X = [[1, 2, 3], [4, 5]]


def test_labels_and_targets() -> None:
    data = sequences_of(X, ["b", "a"], goal="label")
    assert isinstance(data.goal, Labels) and data.goal.codes.tolist() == [1, 0] and data.goal.classes.tolist() == ["a", "b"]
    data = sequences_of(X, np.array([2, 7]), goal="label", classes=np.array([2, 5, 7]))
    assert isinstance(data.goal, Labels) and data.goal.codes.tolist() == [0, 2] and data.goal.classes.dtype == int
    data = sequences_of(X, [True, False], goal="label")
    assert isinstance(data.goal, Labels) and data.goal.classes.tolist() == [False, True]
    data = sequences_of(X, [["a", "b", "a"], ["c", "c"]], goal="label", per_step=True)
    assert isinstance(data.goal, StepLabels) and [c.tolist() for c in data.goal.codes] == [[0, 1, 0], [2, 2]]
    data = sequences_of(X, [1, 2.5], goal="target")
    assert isinstance(data.goal, Targets) and data.goal.values.tolist() == [[1], [2.5]] and data.goal.names == ("target",)
    data = sequences_of(X, np.ones((2, 3)), goal="target")
    assert isinstance(data.goal, Targets) and data.goal.names == ("target 1", "target 2", "target 3")
    data = sequences_of(X, [[1, np.nan, 3], [4, 5]], goal="target", per_step=True)
    assert isinstance(data.goal, StepTargets) and [v.shape for v in data.goal.values] == [(3, 1), (2, 1)]
    assert sequences_of(X, sample_weight=[1, 0]).weights.tolist() == [1, 0]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("y", "more", "said"),
    [
        (None, {}, "the target y is None; give a label for each sequence"),
        (["a"], {}, "y has 1 entries for 2 sequences"),
        (["a", "a"], {}, "y has one class only, 'a'; give sequences of at least two classes"),
        ([1, 1], {}, "y has one class only, 1"),
        (["a", None], {}, "y[1] is None; every sequence"),
        ([1, np.nan], {}, "y[1] is nan; every sequence"),
        ([1, 2.5], {}, "y[1] is 2.5, which is no class"),
        ("ab", {}, "y is 'ab'; give one for each of 2 sequences"),
        (5, {"goal": "target"}, "y is 5; give one"),
        (np.array(["1", "2"]), {"goal": "target"}, "y has something that is no number, of the type <U1"),
        ([1, 10**400], {"goal": "target"}, "y has something that is no number: int too large"),
        ([["a"], ["b"]], {}, "y[0] is ['a'], and one label for each sequence is expected"),
        (["a", "z"], {"classes": np.array(["a", "b"])}, "y[1]: class 'z' was never seen in training; the classes are 'a', 'b'"),
        ([["a", "b"], ["a", "b"]], {"per_step": True}, "y[0] has 2 entries and X[0] 3 steps; give one for each step"),
        (["abc", "ab"], {"per_step": True}, "y[0] has one entry and X[0] 3 steps"),
        ([["a", "a", "a"], ["a", "z"]], {"per_step": True, "classes": np.array(["a", "b"])}, "y[1][1]: class 'z'"),
        ([1, np.nan], {"goal": "target"}, "y[1] is NaN; every sequence that is learned from needs a finite target"),
        ([1, np.inf], {"goal": "target"}, "y[1] is infinity"),
        (["a", "b"], {"goal": "target"}, "y has something that is no number"),
        (np.ones((2, 1, 1)), {"goal": "target"}, "y has the shape (2, 1, 1)"),
        ([[1, 2, 3], [1, np.inf]], {"goal": "target", "per_step": True}, "y[1] has infinity (inf) at step 1"),
        ([np.ones((3, 2)), np.ones(2)], {"goal": "target", "per_step": True}, "y[1] has 1 targets and y[0] has 2"),
        (["a", "b"], {"sample_weight": [1]}, "sample_weight has the shape (1,) for 2 sequences"),
        (["a", "b"], {"sample_weight": [1, -1]}, "sample_weight is -1.0 at 1"),
        (["a", "b"], {"sample_weight": [np.nan, 1]}, "sample_weight is nan at 0"),
        (["a", "b"], {"sample_weight": [0, 0]}, "sample_weight is all zero"),
    ],
)
def test_labels_and_targets_that_are_wrong(y: object, more: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        sequences_of(X, y, **{"goal": "label", **more})  # type: ignore[arg-type]


def test_missing_values_where_they_are_allowed() -> None:
    data = sequences_of([[1, np.nan], [3]], missing=True)
    assert data.missing == 1 and "missing values: 1 of 3 (33 %)" in data.describe()


# The value


def test_parts_of_sequences_stay_together() -> None:
    data = Sequences(
        ["a", "bb", "ccc"],
        "texts",
        StepLabels([np.array([0]), np.array([1, 1]), np.array([0, 1, -1])], np.array(["x", "y"])),
        ids=np.array(["p", "q", "r"]),
        times=[np.arange(n) for n in (1, 2, 3)],
        weights=np.array([1, 2, 3.0]),
    )
    some = data.take([2, 0])
    assert some.items == ["ccc", "a"] and some.goal.codes[0].tolist() == [0, 1, -1]  # type: ignore[union-attr]
    assert some.ids.tolist() == ["r", "p"] and some.weights.tolist() == [3, 1]  # type: ignore[union-attr]
    assert [len(times) for times in some.times] == [3, 1] and len(data.take([])) == 0  # type: ignore[union-attr]
    targets = Sequences(["a", "b"], "texts", Targets(np.array([[1.0], [np.nan]]), ("y",)))
    assert targets.describe().endswith("targets: y from 1 to 1, mean 1")
    steps = Sequences(["a", "b"], "texts", StepTargets([np.zeros((1, 1)), np.ones((1, 1))], ("y",)))
    assert steps.take([1]).goal.values[0].tolist() == [[1]] and "y from 0 to 1" in steps.describe()  # type: ignore[union-attr]


def test_parts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="there are 1 ids for 2 sequences; give one for each"):
        Sequences(["a", "b"], "texts", ids=np.array(["p"]))
    with pytest.raises(InputError, match="there are 3 labels or targets for 1 sequences"):
        Sequences(["a"], "texts", Labels(np.zeros(3, int), np.array(["x"])))


def test_a_long_list_is_cut() -> None:
    data = sequences_of([[0.0]] * 40, [f"c{n:02}" for n in range(40)], goal="label")
    assert data.describe().endswith("c11 (1) and 28 more") and "length 1\n" in data.describe()


# Frames


def test_frames_of_all_three_shapes() -> None:
    pd = pytest.importorskip("pandas")
    text = sequences_of_frame(pd.DataFrame({"text": ["good", "bad"], "label": ["a", "b"]}), goal="label")
    assert text.items == ["good", "bad"]
    long = pd.DataFrame({"id": [1, 1, 2], "time": [0, 1, 0], "a": [1.0, None, 3], "target": [5, 5, 6]})
    data = sequences_of_frame(long, goal="target")
    np.testing.assert_equal(data.items, [np.array([[1], [np.nan]]), np.array([[3.0]])])
    assert isinstance(data.goal, Targets) and data.goal.values[:, 0].tolist() == [5, 6]
    wide = sequences_of_frame(pd.DataFrame({"x0": [1, 2], "x1": [3, 4]}))
    assert [item[:, 0].tolist() for item in wide.items] == [[1, 3], [2, 4]]
    indexed = sequences_of_frame(long.set_index(["id", "time"]), Columns(features=("a",)))
    assert indexed.ids is not None and indexed.ids.tolist() == ["1", "2"]
    for columns, said in (
        ({"id": [1, 1], "a": [1, "x"]}, "row 1, column 'a': 'x' is no number"),
        ({"id": [1.0, None, 1], "a": [1, 2, 3]}, "row 1, column 'id' is empty; every row needs the id"),
        ({"id": pd.array([1, None, 1], "Int64"), "a": [1, 2, 3]}, "row 1, column 'id' is empty"),
        ({"id": ["q", {}, "q"], "a": [1, 2, 3]}, "row 1, column 'id' is a dict; give one value in each row"),
    ):
        with pytest.raises(DataError, match=f"the frame, {said}"):
            sequences_of_frame(pd.DataFrame(columns))
    unlabelled = pd.DataFrame({"text": ["a", "b"], "label": [1.0, None]})
    with pytest.raises(DataError, match="the frame, row 1, column 'label' is empty"):
        sequences_of_frame(unlabelled, goal="label")


# Splits


@given(st.integers(2, 200), st.floats(0.01, 0.99), st.integers(0, 5))
def test_a_split_is_all_there_is_and_hangs_on_the_seed_alone(count: int, part: float, seed: int) -> None:
    split = split_sequences(count, part, seed=seed)
    assert sorted([*split.train, *split.held_out]) == list(range(count))
    assert len(split.held_out) == min(max(1, round(part * count)), count - 1)
    assert np.array_equal(split.held_out, split_sequences(count, part, seed=seed).held_out)


@given(st.lists(st.integers(0, 4), min_size=2, max_size=100), st.sampled_from([0.1, 0.2, 0.5]), st.integers(0, 3))
def test_a_split_by_class_keeps_shares(codes: list[int], part: float, seed: int) -> None:
    split = split_sequences(len(codes), part, seed=seed, codes=np.array(codes))
    assert sorted([*split.train, *split.held_out]) == list(range(len(codes)))
    for code in set(codes):
        mine, out = codes.count(code), int((np.array(codes)[split.held_out] == code).sum())
        assert mine - out >= 1 and abs(out - part * mine) < 2


def test_seeds_differ_and_the_order_of_places_is_that_of_the_data() -> None:
    first, second = (split_sequences(100, 0.2, seed=seed).held_out.tolist() for seed in (0, 1))
    assert first != second and first == sorted(first)
    assert len(split_sequences(2, 0.99).held_out) == len(split_sequences(2, 0.01).held_out) == 1
    assert split_sequences(10, 0.2, seed=-1).describe() == "8 to train on, 2 held out, at random (seed -1)"


@given(st.lists(st.integers(0, 6), min_size=2, max_size=60).filter(lambda g: len(set(g)) > 1), st.floats(0.05, 0.95))
def test_groups_stay_whole(groups: list[int], part: float) -> None:
    split = split_groups(groups, part)
    out, kept = ({groups[place] for place in places} for places in (split.held_out, split.train))
    assert out and kept and not out & kept and len(split.held_out) + len(split.train) == len(groups)


def test_splits_that_cannot_be() -> None:
    for split, error, said in (
        (lambda: split_sequences(10, 1.0), InputError, "lies between 0 and 1, not at 1.0"),
        (lambda: split_sequences(1, 0.5), DataError, "1 sequence cannot be split; give at least two"),
        (lambda: split_groups(["a", "a"], 0.5), DataError, "1 group cannot be split"),
        (lambda: split_sequences(3, 0.5, codes=np.zeros(2)), InputError, "2 codes for 3 sequences"),
    ):
        with pytest.raises(error, match=said):
            split()
