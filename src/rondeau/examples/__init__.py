"""Worked examples: each a short file to read, run and change. ``rondeau recipe`` lists them, ``rondeau recipe NAME`` runs one.

A recipe is a module with a docstring, whose first line says what it shows, and a function

    def recipe(out: Path, seed: int = 1, effort: float = 1.0) -> Outcome

that learns, saves a picture in the folder ``out`` and returns a score beside its floor. ``effort`` scales how long it learns.
"""
