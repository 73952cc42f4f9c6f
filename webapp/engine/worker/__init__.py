"""What a worker of Celery does with a message: start the run in the ledger, run it, record its outcome."""
