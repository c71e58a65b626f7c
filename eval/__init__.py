"""Measuring vqcodec from outside, through its public names: `python -m eval rd|speed|demo|grid`.

Part of a source checkout, not of the wheel. Import its modules (`from eval.metrics import psnr`),
never the bare name, which hides the builtin. What is measured and how: docs/EVALUATION.md.
"""
