"""A page about one or several runs: one HTML file that needs no network."""
