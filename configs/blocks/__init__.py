"""Building blocks of configs: data sets, networks, optimizers, methods."""
