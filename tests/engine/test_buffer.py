"""What a buffer is called, whose it is, and which begin as zeros."""

from __future__ import annotations

import pytest

from rondeau.engine.compile.buffer import Buffer


@pytest.mark.parametrize(
    ("buffer", "text"),
    [
        (Buffer("y"), "y"),
        (Buffer("y").derivative, "dy"),
        (Buffer("state", 10), "state10"),
        (Buffer("parameter", "b").derivative, "dparameter:b"),
    ],
)
def test_a_buffer_has_a_name_to_be_read(buffer: Buffer, text: str) -> None:
    assert str(buffer) == f"{buffer}" == text


def test_buffers_are_values() -> None:
    assert Buffer("state", 1) == Buffer("state", 1) != Buffer("state", 1, gradient=True)
    assert sorted([Buffer("state", 10), Buffer("state", 9)]) == [Buffer("state", 9), Buffer("state", 10)]
    assert {Buffer("columns"): 3}[Buffer("columns")] == 3


def test_what_is_given_or_returned_is_no_part_of_the_memory_of_a_run() -> None:
    assert Buffer("parameter", "W").external and not Buffer("parameter", "W").derivative.external
    assert Buffer("state", 0).external and Buffer("state", 0).derivative.external
    assert not Buffer("columns").external


def test_what_is_summed_over_the_steps_begins_as_zeros() -> None:
    assert Buffer("constants").derivative.summed and Buffer("input", "v").derivative.summed
    assert not Buffer("y").derivative.summed and not Buffer("cotangents").summed
