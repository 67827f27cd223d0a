"""Whole training steps: forward, backward and the optimizer's step, each contestant in a process of
its own with default settings.

pytest benchmarks/test_loops.py
python -m benchmarks.loops "NumPy 64-64-10, batch 64, float32" "gradstep" --turns 3
"""
