"""Symbols to bytes and back, exactly: tables, range coder, fixed-length codes.

FORMAT.md sections 6 and 7.
"""
