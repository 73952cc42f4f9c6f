"""Celery as Carillon uses it: one message for a run, with its number in it, and nothing else.

The only module beside the worker's that imports Celery, and only when it is asked to: Celery is an extra.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

TASK = "carillon.run"
SCHEMES = {
    "redis": "redis", "rediss": "redis", "unix": "redis", "sentinel": "redis",
    "amqp": "amqp", "amqps": "amqp", "pyamqp": "amqp",
}  # fmt: skip
"""Brokers that Carillon is tested with, and the package of the client that each needs."""
TIMEOUT_S = 5.0


def check(url: Any) -> str:
    """A broker's URL that can be used here. Raises ValueError with what to do."""
    scheme = url.partition("://")[0].partition("+")[0] if isinstance(url, str) else ""
    if scheme not in SCHEMES or "://" not in url:
        raise ValueError(
            "broker_url must be the URL of a Redis or RabbitMQ broker, such as redis://host:6379/0 or amqp://user@host//"
        )
    for package in ("celery", SCHEMES[scheme]):
        if find_spec(package) is None:
            raise ValueError(f"the package {package} is not installed: pip install 'carillon[celery]'")
    return str(url)


def make(url: str, queues: Sequence[str], transport_options: dict[str, Any], *, receives: bool) -> Any:
    """A Celery application on this broker. One that only sends keeps no heartbeat, which nothing would drive."""
    from celery import Celery

    app = Celery("carillon", broker=url, set_as_current=receives)
    timeouts = {} if receives else _timeouts(url)
    app.conf.update(
        task_queues={name: {"exchange": name, "routing_key": name} for name in queues},
        task_default_queue=queues[0],
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_pool="webapp.engine.worker.pool:RunPool",
        worker_prefetch_multiplier=1,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=TIMEOUT_S,
        broker_heartbeat=120 if receives else 0,
        broker_transport_options={**timeouts, **transport_options},
    )
    if receives:
        app.task(name=TASK)(_run)
    return app


def _timeouts(url: str) -> dict[str, Any]:
    """What keeps a sender from waiting for a broker that says nothing, and tells it that a message has arrived."""
    if SCHEMES[url.partition("://")[0].partition("+")[0]] == "amqp":
        return {"confirm_publish": True, "read_timeout": TIMEOUT_S, "write_timeout": TIMEOUT_S}
    return {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S}


def _run(run_id: int) -> None:
    """What the message names. The worker's pool takes it apart and never calls this."""
    raise RuntimeError("A worker of Carillon runs this in its own pool; start it without --pool.")
