"""Tables and bounded queries. This room reads and states changes; it never commits."""
