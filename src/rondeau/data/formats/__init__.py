"""Files of sequences and tables: CSV, TSV, JSON lines, ``.ts`` and CoNLL columns."""
