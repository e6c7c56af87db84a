# SPDX-License-Identifier: Apache-2.0
#
# Celery with Redis as broker and for results: a server on a Unix socket in a directory of its own,
# and one worker with two processes.

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from peer import SIZE, need, percentile, serve_job, tell, timed

PROCESSES = 2
TASKS_MAX = 2000
ROUND_TRIPS_MAX = 200
START_TIMEOUT_S = 30

celery, _ = need("celery", "redis")
# The worker's processes are told where the room is.
room = os.environ.get("CELERY_BENCH_ROOM") or tempfile.mkdtemp(prefix="tessera-bench-")
os.environ["CELERY_BENCH_ROOM"] = room
address = "redis+socket://" + os.path.join(room, "redis.sock")
app = celery.Celery("celery_tasks", broker=address, backend=address)
app.conf.update(task_ignore_result=False, worker_hijack_root_logger=False, result_expires=600)


@app.task(name="add")
def add(x, y):
    return x + y


def start_redis():
    program = shutil.which("redis-server")
    if program is None:
        tell("absent", "redis-server is not installed")
        sys.exit(0)
    socket = os.path.join(room, "redis.sock")
    server = subprocess.Popen([program, "--port", "0", "--unixsocket", socket, "--save", "",
                               "--appendonly", "no", "--dir", room], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + START_TIMEOUT_S
    while not os.path.exists(socket) and time.monotonic() < deadline:
        time.sleep(0.01)
    return server


def start_worker():
    # As root, as in a container, Celery warns and works.
    command = [sys.executable, "-m", "celery", "-A", "celery_tasks", "worker", "--pool", "prefork",
               "--concurrency", str(PROCESSES), "--loglevel", "ERROR", "--without-gossip",
               "--without-mingle"]
    environment = dict(os.environ, PYTHONPATH=os.path.dirname(os.path.abspath(__file__)),
                       PYTHONDONTWRITEBYTECODE="1")
    return subprocess.Popen(command, cwd=room, env=environment, stdout=subprocess.DEVNULL)


def tasks():
    count = min(SIZE, TASKS_MAX)

    def work():
        for result in [add.delay(i, 1) for i in range(count)]:
            result.get(timeout=60)

    return lambda: count / timed(work)


def latency(share):
    count = min(SIZE, ROUND_TRIPS_MAX)
    return lambda: percentile(
        [timed(lambda: add.delay(2, 3).get(timeout=60)) for _ in range(count)], share)


def main():
    server = start_redis()
    worker = start_worker()
    try:
        add.delay(2, 3).get(timeout=START_TIMEOUT_S)
        serve_job({
            "tasks": tasks,
            "latency_p50": lambda: latency(0.50),
            "latency_p99": lambda: latency(0.99),
        })
    except celery.exceptions.TimeoutError:
        tell("failed", "the worker did not answer")
    finally:
        for process in (worker, server):
            process.send_signal(signal.SIGTERM)
        for process in (worker, server):
            process.wait(timeout=10)
        shutil.rmtree(room, ignore_errors=True)


if __name__ == "__main__":
    main()
