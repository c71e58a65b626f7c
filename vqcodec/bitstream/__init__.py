"""The file: constants, header, packets, container (FORMAT.md). Standard library only."""
