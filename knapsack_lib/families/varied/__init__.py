"""What every varied teacher does (docs/varied-teacher.md): draws names and ways to write (hand.py), holds records (records.py),
reads answers and prints them (telling.py), finds what a block needs (needs.py), errs and mends (mistakes.py), and answers an
episode (expert.py)."""
