"""`python -m vqcodec` is the `vqcodec` command."""

from __future__ import annotations

from vqcodec.cli.main import main

main()
