# SPDX-License-Identifier: Apache-2.0
#
# Dask's distributed scheduler with two worker processes of one thread each (one for jobs between a
# client and a worker), over tcp; jobs whose names end with _tls over TLS, as their names without it.

from peer import JOB, SIZE, need, percentile, serve_job, timed

TASKS_MAX = 2000
ROUND_TRIPS_MAX = 100
CUTS = 8
RECHUNK_CUTS = 32
CHUNKS = 16
TLS = "_tls"


def inc(x):
    return x + 1


def add(x, y):
    return x + y


def jobs_of(client):
    import dask.array as da
    import numpy as np
    from distributed import wait

    def normal_mean():
        return lambda: timed(lambda: da.random.normal(
            size=(SIZE, SIZE), chunks=(SIZE // 10, SIZE // 10)).mean(axis=0).compute())

    def kept(columns, build):
        chunks = (SIZE, SIZE // RECHUNK_CUTS) if columns else (SIZE // CUTS, SIZE // CUTS)
        x = da.random.random((SIZE, SIZE), chunks=chunks).persist()
        wait(x)
        return lambda: timed(lambda: build(x).compute())

    def tasks():
        count = min(SIZE, TASKS_MAX)
        return lambda: count / timed(lambda: wait(client.map(inc, range(count), pure=False)))

    def latency(share):
        def measure():
            return percentile([
                timed(lambda: client.submit(add, 2, 3, pure=False).result())
                for _ in range(min(SIZE, ROUND_TRIPS_MAX))
            ], share)

        return measure

    def vector_add():
        a = np.random.default_rng(1).random(SIZE)
        b = np.random.default_rng(2).random(SIZE)

        def work():
            futures = [client.scatter(x, hash=False) for x in (a, b)]
            return client.submit(add, *futures, pure=False).result()

        return lambda: timed(work)

    def pieces():
        return list(np.random.default_rng(1).random((CHUNKS, SIZE // CHUNKS)))

    def scatter():
        data = pieces()
        return lambda: SIZE * 8 / timed(lambda: wait(client.scatter(data, hash=False)))

    def gather():
        futures = client.scatter(pieces(), hash=False)
        return lambda: SIZE * 8 / timed(lambda: client.gather(futures))

    def broadcast():
        names = list(client.scheduler_info()["workers"])

        def work():
            # New each time: a worker keeps what it has fetched.
            x = client.submit(np.random.default_rng(1).random, SIZE, workers=names[:1], pure=False)
            wait(x)
            return timed(lambda: client.gather([
                client.submit(np.sum, x, workers=[name], pure=False) for name in names
            ]))

        return work

    return {
        "normal_mean": normal_mean,
        "transpose_add": lambda: kept(False, lambda x: (x + x.T).mean(axis=1)),
        "rechunk_sum": lambda: kept(
            True, lambda x: x.rechunk((SIZE // RECHUNK_CUTS, SIZE)).sum(axis=1)),
        "tasks": tasks,
        "latency_p50": lambda: latency(0.50),
        "latency_p99": lambda: latency(0.99),
        "vector_add": vector_add,
        "scatter": scatter,
        "gather": gather,
        "broadcast": broadcast,
    }


def main():
    distributed = need("distributed")
    workers = 1 if JOB.startswith("vector_add") else 2
    way = {}
    if JOB.endswith(TLS):
        need("cryptography")
        way = {"protocol": "tls://", "security": True}
    with distributed.LocalCluster(n_workers=workers, threads_per_worker=1,
                                  dashboard_address=None, **way) as cluster:
        with distributed.Client(cluster) as client:
            client.wait_for_workers(workers)
            jobs = jobs_of(client)
            serve_job({**jobs, **{name + TLS: job for name, job in jobs.items()}})


if __name__ == "__main__":
    main()
