"""From episodes to evidence: metrics, statistics, contrasts, claims; and from there to figures,
tables and numbers.

    from knapsack_lib.analysis.report import build, collect

This file imports nothing: a notebook that wants a frame of episodes does not wait for the plotting
libraries.
"""
