"""Turns what services return into what templates show: texts, sums and addresses, no markup and no decisions."""
