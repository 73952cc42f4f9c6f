"""Pages, polls, start and due pass with 100,000 jobs and 1,000,000 runs, against 1,000 and 10,000 in the same run.

``python bench/scale.py [--kind sqlite|postgresql] [--url URL of an empty database for each size ...]``. PostgreSQL runs
in a private server of the tests, unless two URLs are given. Takes some minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.contenders.memory import memory_mb
from bench.contenders.served import serving
from bench.scaling import pages, polls, rows
from tests.databases import backend
from webapp import create_app
from webapp.extensions import db
from webapp.services import due
from webapp.serving import prepare
from webapp.settings import Settings
from webapp.store import lease
from webapp.store.database import writing

SIZES = (rows.Size(1_000, 10_000), rows.Size(100_000, 1_000_000))
SETTLE_S = 12.0
"""After that a started server leads, whoever did before, and has done what there was to do."""
ADMIN = {"admin_user": "admin", "admin_password": "correct horse"}


def measure(folder: Path, url: str, size: rows.Size) -> dict[str, float]:
    """Everything for one size: milliseconds by what took them; polls are a second's, memory is in megabytes."""
    settings = Settings(instance_path=folder, database_url=url, _env_file=None, **ADMIN)
    app = create_app(settings)
    prepare(app)
    now = datetime.now(UTC).replace(microsecond=0)
    with app.app_context():
        begun = time.perf_counter()
        rows.fill(db.engine, size, now)
        print(f"# {size.jobs:,} jobs and {size.runs:,} runs stored in {time.perf_counter() - begun:.0f} s", flush=True)
    begun = time.perf_counter()
    app = create_app(settings)
    prepare(app)
    found = {"start (app and database)": (time.perf_counter() - begun) * 1000}
    app.config.update(WTF_CSRF_ENABLED=False, RATELIMIT_ENABLED=False)
    app.testing = True
    found |= {taken.name: taken.median_ms for taken in pages.measure(app)}
    client = app.test_client()
    client.environ_base["HTTP_USER_AGENT"] = polls.BROWSER
    client.post("/login", data={"name": ADMIN["admin_user"], "password": ADMIN["admin_password"]})
    cookie, path = client.get_cookie("carillon"), pages.poll_of(client, "/runs")
    assert cookie is not None
    found["polls a second"] = polls.rate(folder, url, path, cookie.value)
    with app.app_context():
        with writing() as session:
            held = lease.acquire(session, "bench:1:a")
        assert held is not None
        begun = time.perf_counter()
        settled = due.due_pass(held, now + timedelta(seconds=4300))
        found["due pass, a due time"] = (time.perf_counter() - begun) * 1000 / max(1, settled.jobs)
        db.session.remove()
        db.engine.dispose()
    with serving(folder, CARILLON_DATABASE_URL=url) as server:
        server.start()
        time.sleep(SETTLE_S)
        assert server.process is not None
        found["leader's memory, MB"] = memory_mb(server.process.pid)
    return found


@contextmanager
def databases(kind: str, urls: list[str]) -> Iterator[list[str]]:
    """An empty database for each size."""
    if kind == "sqlite" or urls:
        yield urls or ["", ""]
        return
    with backend(kind) as server:
        yield [server.create().url for _ in SIZES]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=("sqlite", "postgresql"), action="append")
    parser.add_argument("--url", action="append", default=[], help="an empty database for each of the two sizes")
    given = parser.parse_args()
    for kind in given.kind or ("sqlite", "postgresql"):
        print(f"# {kind}")
        with databases(kind, given.url) as urls, tempfile.TemporaryDirectory() as base:
            results = []
            for number, (url, size) in enumerate(zip(urls, SIZES, strict=True)):
                folder = Path(base, str(number))
                folder.mkdir()
                results.append(measure(folder, url, size))
        small, large = results
        print(f"{'':28} {'small':>10} {'large':>10} {'ratio':>7}")
        for name, value in large.items():
            print(f"{name:28} {small[name]:10.2f} {value:10.2f} {value / small[name]:7.2f}", flush=True)


if __name__ == "__main__":
    main()
