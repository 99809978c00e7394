"""Who judges a penalty: its law, the points that it looks at, its graph, and its device and precision.

Each file reads the same recorded calls (``..probes``) and returns findings, worded in ``..mends``. Start with ``law``.
"""
