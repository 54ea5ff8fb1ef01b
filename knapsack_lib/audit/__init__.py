"""Which runtime a set of transcripts teaches, and what would break in the other one; nothing is
run, and no model is asked."""
