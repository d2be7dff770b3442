"""One leaf file per published or embedded run; see `common.py`."""
