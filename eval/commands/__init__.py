"""The commands of `python -m eval`, one a file."""
