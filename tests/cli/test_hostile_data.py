"""Damaged data files: what the commands do with them is a result or one sentence."""

from __future__ import annotations

import hostile_data


def test_a_survey_of_damaged_data_files() -> None:
    counts, bad = hostile_data.survey(60, begin=1_000_000)
    assert not bad and counts["refused"] > 60 and counts["used"] > 20
