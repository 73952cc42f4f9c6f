"""The only room that runs things: the scheduler, its lease, the executors and the recorder."""
