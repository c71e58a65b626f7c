"""Index maps: how their positions are dealt to packets (FORMAT.md section 5)."""
