"""Pure rules: what a schedule means, which states a run may take, what a due time becomes.

This room reads no clock, no database and no request; it imports only the standard library and APScheduler's triggers.
"""
