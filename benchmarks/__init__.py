"""Measure what versioning costs, beside the libraries it may replace.

``python -m benchmarks`` runs the same works unversioned and under each library,
every measurement in a process of its own, and prints the ratios taken in that
one run. ``python -m benchmarks.plans`` shows the query plans behind every index
of a version table. ``benchmarks/README.rst`` explains the method.
"""
