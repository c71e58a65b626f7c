"""From somebody else's VQGAN checkpoint to a complete model pack (docs/IMPORT.md).

Bytes to tensors without running anything (`unpickle`, `archive`), their names to ours (`names`),
the network that they belong to (`architecture`, `published`), codebooks of the tiers (`words`), and
the pack (`pack`).
"""
