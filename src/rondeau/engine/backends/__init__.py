"""The ways to run a scan, one contract."""
