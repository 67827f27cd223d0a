"""Benchmarks: gradstep beside its peers and the memory roofline, interleaved in one run.

pip install ".[bench]" && pytest benchmarks
"""
