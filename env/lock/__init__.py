"""What a maintainer runs to refresh the locks, the base layer's pins and kits; `python -m env.lock --help`."""
