"""Symbols to bytes and back, exactly: frequency tables, the range coder, fixed-length codes (FORMAT.md section 7)."""
