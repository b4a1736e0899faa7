"""From a file to checked sequences, or to one sentence that says what is wrong where."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondeau.data import Columns, Labels, Sequences, StepLabels, StepTargets, Targets, read_parts, read_sequences
from rondeau.data.formats.kind import recognised
from rondeau.data.formats.lines import BLOCK, Lines
from rondeau.data.formats.table import ROWS
from rondeau.errors import DataError, InputError


def written(folder: Path, text: str | bytes, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def reading(folder: Path, text: str | bytes, name: str = "a.csv", columns: Columns | None = None, **more: object) -> Sequences:
    return read_sequences(written(folder, text, name), columns, **more)  # type: ignore[arg-type]


def refused(folder: Path, text: str | bytes, name: str = "a.csv", columns: Columns | None = None, **more: object) -> str:
    """What is said, which is one sentence that begins with the file."""
    with pytest.raises(DataError) as caught:
        reading(folder, text, name, columns, **more)
    said = str(caught.value)
    assert "\n" not in said and len(said) < 600
    return said.replace(str(folder / name), name)


def names(data: Sequences) -> list[str]:
    assert isinstance(data.goal, Labels)
    return data.goal.classes[data.goal.codes].tolist()


# Texts


def test_a_text_in_each_row(tmp_path: Path) -> None:
    data = reading(tmp_path, 'text,label\n"go,od ""x""",5\n bad ,10\n"two\nlines",5\n', goal="label")
    assert data.items == ['go,od "x"', " bad ", "two\nlines"] and data.kind == "texts"
    assert names(data) == ["5", "10", "5"] and isinstance(data.goal, Labels) and data.goal.classes.tolist() == ["5", "10"]
    assert data.describe().splitlines()[1:] == [
        "3 sequences of characters",
        "lengths from 5 to 9, median 9",
        "2 classes: 5 (2), 10 (1)",
    ]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("text\tlabel\ngood\ta\nbad\tb\n", "a.tsv"),
        ("text;label\ngood;a\nbad;b\n", "a.csv"),
        ("text|label\r\ngood|a\r\nbad|b\r\n", "a.csv"),
        ('{"text": "good", "label": "a"}\n\n{"label": "b", "text": "bad"}\n', "a.jsonl"),
        ("text,label\ngood,a\nbad,b", "a"),
        ("text,label\rgood,a\rbad,b\r", "a.csv"),
        ("text\tlabel\ngood\ta\nbad\tb\n", "a"),
        ('{"text": "good", "label": "a"}\n{"text": "bad", "label": "b"}', "a"),
        ("\ufefftext,label\ngood,a\n\nbad,b\n", "a.csv"),
    ],
)
def test_all_kinds_of_tables_say_the_same(tmp_path: Path, text: str, name: str) -> None:
    data = reading(tmp_path, text, name, goal="label")
    assert data.items == ["good", "bad"] and names(data) == ["a", "b"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_that_say_what_they_are(tmp_path: Path, encoding: str) -> None:
    text = "text,label\nживой 😀,a\nbéd,b\n"
    assert reading(tmp_path, text.encode(encoding), goal="label").items == ["живой 😀", "béd"]


def test_a_stream_of_bytes_is_read_like_a_file() -> None:
    data = read_sequences(io.BytesIO(b"text,label\ngood,a\nbad,b\n"), goal="label")
    assert data.items == ["good", "bad"] and data.notes[0].startswith("the input: CSV")


def test_what_is_guessed_is_what_is_left(tmp_path: Path) -> None:
    data = reading(tmp_path, "review,stars\ngood,5\nbad,1\n", goal="label")
    assert names(data) == ["5", "1"] and "sequence in 'review'; label in 'stars'" in data.describe()
    data = reading(tmp_path, "review,stars\ngood,5\nbad,1\n", goal="target")
    assert isinstance(data.goal, Targets) and data.goal.values.tolist() == [[5.0], [1.0]] and data.goal.names == ("stars",)
    data = reading(tmp_path, "review,name,stars\ngood,x,5\nbad,y,1\n", columns=Columns(text="name"), goal="target")
    assert data.items == ["x", "y"]
    assert reading(tmp_path, "name\nAda\nNA\n").items == ["Ada", "NA"]  # a name, nothing missing


@pytest.mark.parametrize(
    ("text", "goal", "said"),
    [
        ("", "label", "a.csv is empty"),
        ("\n \n", "label", "a.csv is empty"),
        ("text,label\n", "label", "no rows below its head"),
        ("text,label\ngood,a\nbad\n", "label", "a.csv, line 3 has 1 cells and the header has 2"),
        ("text,label\ngood,a\n\nbad,b,c\n", "label", "a.csv, line 4 has 3 cells"),
        ('text,label\n"a\nb",a\nbad,b,c\n', "label", "a.csv, line 4 has 3 cells"),
        ("text,text\na,b\n", "label", "two columns are called 'text'"),
        ("text,,label\na,b,c\n", "label", "column 2 has no name"),
        ("0.5,1.25\n1,2\n", "label", "line 1 holds numbers"),
        (
            'text,label\n"good,a\nbad,b\n',
            "label",
            "line 2: unexpected end of data; a cell that begins with a quote",
        ),
        ('text,label\n"good"x,a\n', "label", "a.csv, line 2"),
        ("text,label\ngood,a\n  ,b\n", "label", "a.csv, line 3, column 'text' is empty"),
        ("text,label\ngood,a\nbad,\n", "label", "a.csv, line 3, column 'label' is empty"),
        ("text,label\ngood,a\nbad,a\n", "label", "every label is 'a'; give examples of at least two classes"),
        ("text,target\ngood,1\nbad,\n", "target", "a.csv, line 3, column 'target' is missing"),
        ("text,target\ngood,1\nbad,many\n", "target", "a.csv, line 3, column 'target': 'many' is no number"),
        ("text,target\ngood,1\nbad,inf\n", "target", "a.csv, line 3, column 'target' is infinite"),
        ('text,target\ngood,1\nbad,"1,5"\n', "target", "'1,5' is no number; write decimals with a point"),
        ("one,two,three\na,b,c\n", "label", "not clear what a row is.*'one', 'two', 'three'"),
        ("text,one,two\na,b,c\n", "label", "not clear which column is the label; the columns are 'text', 'one', 'two'"),
        ("text,one,two\na,b,c\n", "target", "not clear which column is the target"),
        (b"text,label\ngood,a\nb\xe9d,b\n", "label", "line 3: byte 0xe9 at offset 19 is not UTF-8; convert"),
        ("text,label\nbéd,b\n".encode("utf-16") + b"\x00\xd8\x00", "label", "a.csv, line 3: byte .* is not UTF-16"),
        ("text,label\ngood,a\n".encode("utf-16-le"), "label", "a.csv, line 1 holds a NUL"),
        (b"text,label\ngood,a\n\0", "label", "a.csv, line 3 holds a NUL"),
    ],
)
def test_a_table_that_is_wrong_is_refused_in_a_sentence(tmp_path: Path, text: str | bytes, goal: str, said: str) -> None:
    assert re.search(said, refused(tmp_path, text, goal=goal))


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    said = refused(tmp_path, "text,label\na,b\n", columns=Columns(label="lable"), goal="label")
    assert said == "a.csv has no column 'lable'; is it 'label'? its columns are 'text', 'label'"
    said = refused(tmp_path, "text,label\na,b\n", columns=Columns(text="text", label="text"), goal="label")
    assert "column 'text' cannot be label and text at once" in said


def test_a_place_behind_the_first_chunk_is_named(tmp_path: Path) -> None:
    rows = ["text,target", *(["word,1"] * (ROWS + 10)), "word,x"]
    assert f"a.csv, line {ROWS + 12}, column 'target'" in refused(tmp_path, "\n".join(rows), goal="target")
    far = "text,label\n" + "word,a\n" * (BLOCK // 7 + 5)
    assert f"line {BLOCK // 7 + 7}: byte 0xff at offset {len(far):,}" in refused(tmp_path, far.encode() + b"\xff", goal="label")


def test_a_character_over_the_edge_of_a_block(tmp_path: Path) -> None:
    text = "x" * (BLOCK - 1) + "é\nß" + "y" * BLOCK
    assert list(Lines(written(tmp_path, text))) == ["x" * (BLOCK - 1) + "é\n", "ß" + "y" * BLOCK]


def test_what_is_no_file(tmp_path: Path) -> None:
    for source, said in (
        (tmp_path / "nowhere.csv", "nowhere.csv cannot be read: .*; check its name"),
        (tmp_path, "is a folder"),
        ("a\0b", "cannot be read"),
    ):
        with pytest.raises(DataError, match=said):
            read_sequences(source)


# Steps


def test_a_step_in_each_row(tmp_path: Path) -> None:
    text = "id,time,a,b,label\nq,0,1,2,x\nr,5,7,8,y\nq,1.5,3,,x\nr,6,9,9,y\n"
    data = reading(tmp_path, text, goal="label")
    np.testing.assert_equal(data.items, [np.array([[1, 2], [3, np.nan]]), np.array([[7, 8], [9, 9.0]])])
    assert data.ids is not None and data.ids.tolist() == ["q", "r"] and data.features == ("a", "b")
    assert names(data) == ["x", "y"] and data.missing == 1
    assert data.times is not None and [t.tolist() for t in data.times] == [[0, 1.5], [5, 6]]
    steps = reading(tmp_path, text, goal="label", per_step=True)
    assert isinstance(steps.goal, StepLabels) and [c.tolist() for c in steps.goal.codes] == [[0, 0], [1, 1]]
    both = reading(tmp_path, text, columns=Columns(target="b", features=("a",)), goal="target", per_step=True)
    assert isinstance(both.goal, StepTargets)
    np.testing.assert_equal(both.goal.values, [np.array([[2], [np.nan]]), np.array([[8], [9.0]])])


def test_one_sequence_needs_no_id(tmp_path: Path) -> None:
    data = reading(tmp_path, "time,a\n0,1\n1,2\n")
    assert len(data) == 1 and data.items[0].tolist() == [[1], [2]]


def test_a_remark_beside_steps_is_no_text(tmp_path: Path) -> None:
    text = "id,time,a,comment,label\nq,0,1,well,x\nq,1,2,,x\nr,0,3,so so,y\n"
    assert "column 'comment': 'well' is no number; correct it, leave it empty if it is not known, or leave the column out" in (
        refused(tmp_path, text, goal="label")
    )
    data = reading(tmp_path, text, columns=Columns(features=("a",)), goal="label")
    assert [item[:, 0].tolist() for item in data.items] == [[1, 2], [3]]
    assert reading(tmp_path, text.replace("\nq,1,2,,x", ""), goal="label").items == ["well", "so so"]  # a row each, with a time


def test_tokens_in_each_row(tmp_path: Path) -> None:
    data = reading(tmp_path, "id,token,tag\n1,a,X\n1,b,\n2,c,Y\n", goal="label", per_step=True)
    assert data.items == [["a", "b"], ["c"]] and isinstance(data.goal, StepLabels)
    assert [codes.tolist() for codes in data.goal.codes] == [[0, -1], [1]] and "without labels of steps: 1" in data.describe()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,time,a,label\nq,0,1,x\nq,0,1,x\n", "line 3, column 'time' is the same time as that of line 2; keep one row"),
        ("id,time,a,label\nq,1,1,x\nr,0,1,y\nq,0,1,x\n", "line 4, column 'time' is before that of line 2; sort the rows"),
        ("time,a,label\n1,1,x\n0,1,x\n", "name the column of their ids"),
        ("id,time,a,label\nq,0,1,x\nq,1,1,y\n", "line 3, column 'label': its sequence has another label before"),
        ("time,a,label\n0,1,x\n1,1,y\n", "has another label before; name the column of the sequences' ids, or the shape"),
        ("id,time,a,label\nq,0,1,x\n,1,1,x\n", "line 3, column 'id' is empty; every row needs the id"),
        ("id,time,a,label\nq,0,1,x\nq,,1,x\n", "line 3, column 'time' is missing"),
        ("id,time,a,label\nq,0,1,x\nq,1,one,x\n", "line 3, column 'a': 'one' is no number"),
        ("id,time,a,label\nq,0,1,\nq,1,1,\n", "line 2, column 'label' is empty"),
        ("id,time,label\nq,0,x\n", "no column left for features"),
    ],
)
def test_rows_of_steps_that_are_wrong(tmp_path: Path, text: str, said: str) -> None:
    assert said in refused(tmp_path, text, goal="label")


def test_steps_in_numbered_columns(tmp_path: Path) -> None:
    data = reading(tmp_path, "label,x1,x10,x2,x3,x4,x5,x6,x7,x8,x9\na,1,10,2,3,4,5,6,7,8,9\nb,1,,2,?,,,,,,\n", goal="label")
    np.testing.assert_equal(data.items, [np.arange(1, 11.0)[:, None], np.array([[1], [2.0]])])
    data = reading(tmp_path, "id,a_0,a_1,b_0,b_1,target\nq,1,2,3,4,7\nr,1,,3,4,8\n", goal="target")
    np.testing.assert_equal(data.items, [np.array([[1, 3], [2, 4.0]]), np.array([[1, 3], [np.nan, 4]])])
    assert data.features == ("a", "b") and data.ids is not None and data.ids.tolist() == ["q", "r"]
    assert "line 3 has no number in the columns of the steps" in refused(tmp_path, "label,x1,x2\na,1,2\nb,,\n", goal="label")
    assert "no numbered columns" in refused(tmp_path, "label,x1\na,1\n", columns=Columns(shape="wide"), goal="label")


# JSON lines


def test_lists_in_json_lines(tmp_path: Path) -> None:
    data = reading(tmp_path, '{"x": [[1, 2], [3, null]], "y": 1.5}\n{"x": [[1, 2]], "y": 0}\n', "a.jsonl", goal="target")
    np.testing.assert_equal(data.items, [np.array([[1, 2], [3, np.nan]]), np.array([[1, 2.0]])])
    data = reading(tmp_path, '{"values": [1, 2], "label": true}\n{"values": [1], "label": false}\n', "a.jsonl", goal="label")
    assert [item.tolist() for item in data.items] == [[[1], [2]], [[1]]] and names(data) == ["true", "false"]
    text = '{"tokens": ["a", "b"], "tags": ["X", null]}\n{"tokens": ["c"], "tags": ["Y"]}\n'
    data = reading(tmp_path, text, "a.jsonl", goal="label", per_step=True)
    assert data.items == [["a", "b"], ["c"]] and isinstance(data.goal, StepLabels) and data.goal.codes[0].tolist() == [0, -1]
    data = reading(tmp_path, '{"x": [1, 2], "target": [5, null]}\n', "a.jsonl", goal="target", per_step=True)
    assert isinstance(data.goal, StepTargets)
    np.testing.assert_equal(data.goal.values, [np.array([[5], [np.nan]])])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"x": [1], "label": "a"}\n{"x": [1]}\n', "line 2 has no 'label', and the first line has"),
        ('{"x": [1], "label": "a"}\n{"x": [1], \n', "line 2 is no JSON"),
        ('{"x": [1], "label": "a"}\n[1]\n', "line 2 holds a list, not an object"),
        ('{"x": [1], "label": {}}\n', "line 1, 'label' is an object; give text, a number or a list"),
        ('{"x": [1], "label": "a"}\n{"x": [], "label": "b"}\n', "line 2, column 'x' is an empty sequence"),
        ('{"x": [1], "label": "a"}\n{"x": "no", "label": "b"}\n', "line 2, column 'x': 'no' is no list of numbers"),
        ('{"x": [[1, 2], [1]], "label": "a"}\n', "step 2 has 1 features and step 1 has 2"),
        ('{"x": [[1, 2]], "label": "a"}\n{"x": [[1]], "label": "b"}\n', "the steps have 1 features and those before 2"),
        ('{"x": [1, "b"], "label": "a"}\n', "line 1, column 'x': step 2: 'b' is no number"),
        ('{"x": [1, Infinity], "label": "a"}\n', "line 1, column 'x': step 2 is infinite"),
        ('{"x": ["a"], "label": "a"}\n{"x": [1], "label": "b"}\n', "line 2, column 'x': [1] is no list of tokens"),
        ('{"x": "a", "label": "a"}\n{"x": ["a"], "label": "b"}\n', "line 2, column 'x': ['a'] is not text"),
        ('{"x": ' + "[" * 100_000 + "\n", "line 1 is no JSON"),
        ('[{"x": 1}]', "is one JSON list"),
    ],
)
def test_json_lines_that_are_wrong(tmp_path: Path, text: str, said: str) -> None:
    name = "a" if said.startswith("is one") else "a.jsonl"
    assert said in refused(tmp_path, text, name, goal="label")


def test_lists_where_each_row_is_a_step(tmp_path: Path) -> None:
    for name, said in (("id", "'id' is a list; give one value in each row"), ("a", "'a': [1] is no number")):
        row = {"id": "q", "time": 0, "a": 1.5, "label": "x"}
        text = "\n".join(json.dumps(each) for each in (row, {**row, "time": 1, name: [1]}))
        assert f"line 2, column {said}" in refused(tmp_path, text, "a.jsonl", goal="label")


def test_labels_of_steps_fit_the_steps(tmp_path: Path) -> None:
    for text, said in (
        ('{"x": [1, 2], "label": ["a"]}\n', "line 1, column 'label' has 1 entries for 2 steps"),
        ('{"x": [1, 2], "label": "ab"}\n', "line 1, column 'label': 'ab' is no list"),
        ('{"x": "ab", "label": ["a", "b"]}\n', "has 2 entries for a text"),
    ):
        assert said in refused(tmp_path, text, "a.jsonl", goal="label", per_step=True)


# Formats of their own

TS = "# made\n@problemName made\n@timeStamps false\n@dimensions 2\n@classLabel true a b\n@data\n1,2,3:4,5,?:a\n\n7:8:b\n"


def test_ts(tmp_path: Path) -> None:
    data = reading(tmp_path, TS, "a.ts", goal="label")
    np.testing.assert_equal(data.items, [np.array([[1, 4], [2, 5], [3, np.nan]]), np.array([[7, 8.0]])])
    assert names(data) == ["a", "b"] and reading(tmp_path, TS, "a", goal="label").kind == "numbers"
    assert reading(tmp_path, TS, "a.ts").goal is None
    data = reading(tmp_path, "@targetlabel true\n@data\n1,2:0.5\n2,3:1\n", "a.ts", goal="target")
    assert isinstance(data.goal, Targets) and data.goal.values.tolist() == [[0.5], [1]]
    assert reading(tmp_path, "@classLabel false\n@data\n1,2:3,4\n", "a.ts").items[0].tolist() == [[1, 3], [2, 4]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("7:8:b", "7:b"), "line 9 has 1 features between colons and the first has 2; every line ends with a colon"),
        (("7:8:b", "7:8,9:b"), "line 9: feature 2 has 2 values and feature 1 has 1"),
        (("7:8:b", "7::b"), "line 9, feature 2 is an empty sequence"),
        (("7:8:b", "7:x:b"), "line 9, feature 2, step 1: 'x' is no number"),
        (("7:8:b", "7:8:c"), "line 9: class 'c' is not among those that @classLabel lists: a, b"),
        (("Stamps false", "Stamps true"), "has timestamps, which are not read"),
        (("@classLabel true a b", "@classLabel false"), "has no labels, and labels are to be learned"),
        (("@classLabel true a b", "@targetLabel true"), "has targets, and labels are to be learned"),
        (("@data", "data"), "line 6: 'data' comes before @data"),
        (("@data\n1,2,3:4,5,?:a\n\n7:8:b", ""), "has no line @data"),
        (("\n1,2,3:4,5,?:a\n\n7:8:b", ""), "has nothing behind @data"),
    ],
)
def test_a_ts_file_that_is_wrong(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    assert said in refused(tmp_path, TS.replace(*change), "a.ts", goal="label")


def test_conll(tmp_path: Path) -> None:
    text = "-DOCSTART- O\n\n# said\nEU NNP\n# CD\n\n\n \nPeter NNP\nruns VBZ"
    for name in ("a.conll", "a"):
        data = reading(tmp_path, text, name, goal="label", per_step=True)
        assert data.items == [["EU", "#"], ["Peter", "runs"]] and isinstance(data.goal, StepLabels)
        assert data.goal.classes.tolist() == ["CD", "NNP", "VBZ"] and data.goal.codes[1].tolist() == [1, 2]
    more = "1-2\tvám\t_\t_" + "\t_" * 6 + "\n1\tv\tv\tADP" + "\t_" * 6 + "\n2\tám\tám\tPRON" + "\t_" * 6 + "\n\n"
    data = reading(tmp_path, more, "a.conllu", goal="label", per_step=True)
    assert data.items == [["v", "ám"]] and "token in column 2, label in column 4" in data.describe()
    data = reading(tmp_path, "EU NNP I B\nPeter NNP I C\n", "a.bio", Columns(text="1", label="4"), goal="label", per_step=True)
    assert data.goal.classes.tolist() == ["B", "C"]  # type: ignore[union-attr]
    assert reading(tmp_path, "EU\nPeter\n\nruns\n", "a.conll").items == [["EU", "Peter"], ["runs"]]


@pytest.mark.parametrize(
    ("text", "columns", "said"),
    [
        ("EU NNP\nPeter\n", Columns(), "line 2 has 1 columns and the first has 2"),
        ("EU NNP I B\n", Columns(), "line 1 has 4 columns, such as 'EU NNP I B', and it is not clear which is the text"),
        ("EU NNP I B\n", Columns(text="1", label="ner"), "label is 'ner'; give the number of a column from 1 to 4"),
        ("EU NNP I B\n", Columns(text="0", label="2"), "text is '0'"),
        ("# only\n\n", Columns(), "holds no token"),
        ("EU NNP\nPeter NNP\n", Columns(), "every label is 'NNP'"),
    ],
)
def test_conll_that_is_wrong(tmp_path: Path, text: str, columns: Columns, said: str) -> None:
    assert said in refused(tmp_path, text, "a.conll", columns, goal="label", per_step=True)


def test_goals_that_a_kind_does_not_have(tmp_path: Path) -> None:
    assert "a label for each token" in refused(tmp_path, "EU NNP\n", "a.conll", goal="label")
    steps = refused(tmp_path, "label,x1,x2\nab,1,2\ncd,1,2\n", goal="label", per_step=True)
    assert "has one label in each row, and one of each step is needed; give a step in each row" in steps
    assert "at most one label for each sequence" in refused(tmp_path, TS, "a.ts", goal="label", per_step=True)
    with pytest.raises(InputError, match="goal is"):
        reading(tmp_path, TS, "a.ts", goal="classes")


def test_kinds_are_recognised_or_said(tmp_path: Path) -> None:
    assert recognised(Lines(written(tmp_path, "# x\n\n@problemName a\n", "a"))) == "ts"
    assert recognised(Lines(written(tmp_path, "1\tEU\tNNP\n2\tx\tVB\n\n", "a"))) == "conll"
    assert reading(tmp_path, "text\tlabel\na\tb\nc\td\n", "a.csv", kind="tsv", goal="label").items == ["a", "c"]
    assert "is no kind of file that is recognised" in refused(tmp_path, "hello\nworld\n", "a")
    assert "the kind of a file is one of csv, tsv" in refused(tmp_path, "text,label\n", kind="xls")


# Whole and in parts


def test_classes_that_are_known(tmp_path: Path) -> None:
    text = "text,label\ngood,b\nbad,b\n"
    assert reading(tmp_path, text, goal="label", classes=["a", "b"]).goal.codes.tolist() == [1, 1]  # type: ignore[union-attr]
    said = refused(tmp_path, text, goal="label", classes=["a", "c"])
    assert said == "a.csv, line 2: class 'b' was never seen in training; the classes are 'a', 'c'"
    tagged = refused(tmp_path, "x A\ny B\n\nz C\n", "a.conll", goal="label", per_step=True, classes=["A", "B"])
    assert tagged.startswith("a.conll, line 4: class 'C'")


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("review,mood\ngood,a\nbad,b\n", "mood,review\n,fine\n"),
        ("who,time,b,label,a\nq,0,1,x,2\nq,1,1,x,2\nr,0,1,y,2\n", "time,a,b,who,more\n0,2,1,q,?\n"),
        ("label,x1,x2,x3\na,1,2,3\nb,1,2,3\n", "x1,x2\n1,2\n"),
    ],
)
def test_another_table_is_read_by_the_columns_of_the_first(tmp_path: Path, text: str, other: str) -> None:
    learned = reading(tmp_path, text, columns=Columns(id="who" if "who" in text else ""), goal="label")
    assert learned.columns is not None and learned.columns.label
    data = reading(tmp_path, other, "b.csv", learned.columns)
    assert data.goal is None and data.features == learned.features and data.kind == learned.kind and len(data) == 1
    if learned.features == ("b", "a"):
        assert data.items[0].tolist() == [[1, 2]]


def test_parts_make_the_whole(tmp_path: Path) -> None:
    path = written(tmp_path, "id,text,label\n" + "".join(f"n{i},word {i},a\n" for i in range(2500)))
    parts = list(read_parts(path, Columns(text="text", id="id"), size=1000))
    assert [len(part) for part in parts] == [1000, 1000, 500] and all(part.goal is None for part in parts)
    assert [item for part in parts for item in part.items] == [f"word {i}" for i in range(2500)]
    assert parts[2].ids is not None and parts[2].ids[0] == "n2000"
    with pytest.raises(InputError, match="size is a positive"):
        next(read_parts(path, size=0))


def test_a_file_that_memory_cannot_hold_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "text,label\n" + "word,a\nmore,b\n" * 1000)
    for there in (10**6, None):
        monkeypatch.setattr("rondeau.data.reading.memory", lambda there=there: there)
        assert len(read_sequences(path, goal="label")) == 2000
    monkeypatch.setattr("rondeau.data.reading.memory", lambda: 10_000)
    with pytest.raises(DataError, match="GB and read whole takes about .* learn from a part of its rows"):
        read_sequences(path, goal="label")
    assert sum(map(len, read_parts(path))) == 2000


def test_parts_are_read_as_they_are_asked_for() -> None:
    class Endless(io.RawIOBase):
        def __init__(self) -> None:
            self.blocks = 0

        def read(self, size: int = -1) -> bytes:
            self.blocks += 1
            return b"text\n" * (self.blocks == 1) + b"a word\n" * 100_000

    source = Endless()
    parts = read_parts(source, kind="csv")  # type: ignore[arg-type]
    assert [len(next(parts)) for _ in range(200)] == [1000] * 200 and source.blocks < 6


# Round trips

TEXTS = st.text("aé😀 ,;|\t\"'\\:#@{\u2028?07-", min_size=1, max_size=20).filter(str.strip)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(TEXTS, st.sampled_from(["a", "b"])), min_size=1))
def test_json_lines_give_back_what_was_written(rows: list[tuple[str, str]]) -> None:
    lines = "".join(json.dumps({"text": text, "label": name}) + "\n" for text, name in rows)
    data = read_sequences(io.BytesIO(lines.encode()), goal="label", classes=["a", "b"])
    assert list(zip(data.items, names(data))) == rows


@given(st.lists(st.tuples(TEXTS, NUMBERS), min_size=1), st.sampled_from([",", "\t", ";"]))
def test_csv_gives_back_what_was_written(rows: list[tuple[str, float]], delimiter: str) -> None:
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter).writerows([("text", "target"), *rows])
    data = read_sequences(io.BytesIO(file.getvalue().encode()), goal="target", kind="tsv" if delimiter == "\t" else "csv")
    assert data.items == [text for text, _ in rows] and isinstance(data.goal, Targets)
    assert data.goal.values[:, 0].tolist() == [number for _, number in rows]


ARRAYS = st.integers(1, 3).flatmap(
    lambda width: st.lists(
        st.lists(st.lists(NUMBERS, min_size=width, max_size=width), min_size=1, max_size=6), min_size=1, max_size=6
    )
)


@given(ARRAYS, st.randoms(use_true_random=False))
def test_long_tables_give_back_sequences_however_their_rows_alternate(sequences: list[list[list[float]]], random) -> None:
    rows = [(number, time, step) for number, steps in enumerate(sequences) for time, step in enumerate(steps)]
    random.shuffle(rows)
    rows.sort(key=lambda row: row[1])
    head = "id,time," + ",".join(f"f{k}" for k in range(len(sequences[0][0])))
    text = "\n".join([head, *(f"n{number},{time},{','.join(map(repr, step))}" for number, time, step in rows)])
    data = read_sequences(io.BytesIO(text.encode()), kind="csv")
    found = {name: item.tolist() for name, item in zip(data.ids, data.items)}  # type: ignore[arg-type]
    assert found == {f"n{number}": steps for number, steps in enumerate(sequences)}


@given(ARRAYS)
def test_ts_gives_back_what_was_written(sequences: list[list[list[float]]]) -> None:
    lines = [":".join(",".join(map(repr, column)) for column in zip(*steps)) for steps in sequences]
    data = read_sequences(io.BytesIO("\n".join(["@classLabel false", "@data", *lines]).encode()), kind="ts")
    assert [item.tolist() for item in data.items] == sequences


TOKENS = st.text("aé😀,;\"'\\:@{07.", min_size=1, max_size=8)


@given(st.lists(st.lists(st.tuples(TOKENS, st.sampled_from("AB")), min_size=1, max_size=5), min_size=1))
def test_conll_gives_back_what_was_written(sentences: list[list[tuple[str, str]]]) -> None:
    text = "\n\n".join("\n".join(f"{token} {tag}" for token, tag in sentence) for sentence in sentences)
    data = read_sequences(io.BytesIO(text.encode()), kind="conll", goal="label", per_step=True, classes=["A", "B"])
    assert data.items == [[token for token, _ in sentence] for sentence in sentences]


@given(st.binary(max_size=300))
def test_whatever_the_bytes_there_is_a_value_or_a_sentence(data: bytes) -> None:
    for goal in ("", "label", "target"):
        try:
            read_sequences(io.BytesIO(data), goal=goal)  # type: ignore[arg-type]
        except DataError as error:
            assert str(error).startswith(("the input", "every label", "there are no labels"))


SOUND = {
    "csv": 'id,time,a,label\nq,0,1,x\nr,5,7,"y"\nq,1.5,,x\n',
    "jsonl": '{"x": [[1, 2], [3, null]], "label": "a"}\n{"x": [[1, 2]], "label": "b"}\n',
    "ts": TS,
    "conll": "EU NNP\nx CD\n\nPeter NNP\nruns VBZ",
}
CHANGES = st.tuples(
    st.floats(0, 1),
    st.integers(0, 3),
    st.sampled_from([*',;"\t\n[]{}:?-@# ', "nan", "1e999", "true", "\0", "é", "9" * 400, "[[]]", "\r"]),
)


@given(
    st.sampled_from(sorted(SOUND)),
    st.lists(CHANGES, min_size=1, max_size=4),
    st.sampled_from(["", "label", "target"]),
    st.booleans(),
)
def test_a_sound_file_that_was_changed_is_a_value_or_a_sentence(kind: str, changes: list, goal: str, per_step: bool) -> None:
    text = SOUND[kind]
    for where, cut, put in changes:
        place = int(where * len(text))
        text = text[:place] + put + text[place + cut :]
    try:
        data = read_sequences(io.BytesIO(text.encode()), goal=goal, per_step=per_step, kind=kind)  # type: ignore[arg-type]
    except DataError as error:
        assert "\n" not in str(error)
    else:
        assert len(data) and data.describe()
