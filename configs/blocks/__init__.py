"""Parts that configs are made of: data sets, networks, optimisers, methods."""
