"""The authors' published files: read, written, and reported on.

from knapsack_lib.published.records import read_records
from knapsack_lib.published.reports import compare, stats
"""
