"""From photos to a released model pack: training, tiers, export, measuring.

This room writes packs and nothing else; the codec reads packs and nothing else. docs/TRAINING.md
tells the walk: `vqcodec train all`, or its stages one by one, then `export`; `measure` in between.
"""
