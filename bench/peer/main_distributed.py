# SPDX-License-Identifier: Apache-2.0
#
# The main job on Dask's distributed scheduler with two worker processes of one thread each.

import time

import dask.array as da
from distributed import Client, LocalCluster
from peer import serve


def main():
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        with Client(cluster):

            def work():
                start = time.perf_counter()
                da.random.normal(size=(10000, 10000), chunks=(1000, 1000)).mean(axis=0).compute()
                return time.perf_counter() - start

            serve(work)


if __name__ == "__main__":
    main()
