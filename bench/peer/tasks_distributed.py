# SPDX-License-Identifier: Apache-2.0
#
# Tasks that do nothing on Dask's distributed scheduler with two worker processes: tasks a second.

import time

from distributed import Client, LocalCluster, wait
from peer import serve

TASKS = 2000


def inc(x):
    return x + 1


def main():
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        with Client(cluster) as client:

            def work():
                start = time.perf_counter()
                futures = client.map(inc, range(TASKS), pure=False)
                wait(futures)
                return TASKS / (time.perf_counter() - start)

            serve(work)


if __name__ == "__main__":
    main()
