# SPDX-License-Identifier: Apache-2.0
#
# Dask arrays on Dask's threads.

from peer import SIZE, THREADS, need, scratch_file, serve_job, timed

np = need("numpy")
dask, da = need("dask", "dask.array")
dask.config.set(scheduler="threads", num_workers=THREADS)

VECTOR_CHUNK = 1000000
CUTS = 8
RECHUNK_CUTS = 32
SHORT = 4


def computed(build):
    """`build` makes the expression anew for each run."""
    return lambda: lambda: timed(lambda: build().compute())


def of_vectors(build):
    def prepare():
        generator = np.random.default_rng(1)
        a = da.from_array(generator.random(SIZE), chunks=VECTOR_CHUNK)
        b = da.from_array(generator.random(SIZE), chunks=VECTOR_CHUNK)
        return lambda: timed(lambda: build(a, b).compute())

    return prepare


def side():
    n = 1
    while n * n * 4 <= SIZE:
        n *= 2
    return n


def of_matrix(build, shape=None):
    def prepare():
        x = np.random.default_rng(1).random(SIZE).reshape(shape or (side(), -1))
        y = da.from_array(x, chunks="auto")
        return lambda: timed(lambda: build(y).compute())

    return prepare


def of_square(build, columns=False):
    def prepare():
        x = np.random.default_rng(1).random((SIZE, SIZE))
        chunks = (SIZE, SIZE // RECHUNK_CUTS) if columns else (SIZE // CUTS, SIZE // CUTS)
        y = da.from_array(x, chunks=chunks)
        return lambda: timed(lambda: build(y).compute())

    return prepare


def product(dtype):
    def prepare():
        chunks = (2000, 2000)
        generator = np.random.default_rng(1)
        a = da.from_array(generator.random((SIZE, SIZE)).astype(dtype), chunks=chunks)
        b = da.from_array(generator.random((SIZE, SIZE)).astype(dtype), chunks=chunks)
        return lambda: 2.0 * SIZE**3 / timed(lambda: (a @ b).compute())

    return prepare


def normal():
    return da.random.normal(size=(SIZE, SIZE), chunks=(SIZE // 10, SIZE // 10))


def centred_std():
    x = normal()
    return (x - x.mean(axis=0)).std(axis=0)


def generator_mean():
    # Only newer versions of Dask have it.
    generator = da.random.default_rng(1)
    return computed(lambda: generator.normal(size=(SIZE, SIZE), chunks=(
        SIZE // 10, SIZE // 10)).mean(axis=0))()


def inc(x):
    return x + 1


def tasks():
    """Tasks a second of a graph of independent calls."""
    count = min(SIZE, 20000)

    def work():
        keys = [("inc", i) for i in range(count)]
        graph = {key: (inc, i) for i, key in enumerate(keys)}
        dask.threaded.get(graph, keys, num_workers=THREADS)

    return lambda: count / timed(work)


def npy_sum():
    path = scratch_file()
    np.save(path, np.random.default_rng(1).random((SIZE, SIZE)))
    return lambda: timed(lambda: da.from_array(np.load(path, mmap_mode="r")).sum(axis=1).compute())


serve_job({
    "normal_mean": computed(lambda: normal().mean(axis=0)),
    "generator_mean": generator_mean,
    "normal_std": computed(lambda: normal().std()),
    "normal_centred_std": computed(centred_std),
    "sum_linear": of_vectors(lambda a, b: (2 * a + 3 * b).sum()),
    "mean_waves": of_vectors(lambda a, b: (da.sin(a)**2 + da.cos(b)**2).mean()),
    "sum_down": of_matrix(lambda x: x.sum(axis=0)),
    "sum_across": of_matrix(lambda x: x.sum(axis=1)),
    "sum_short_rows": of_matrix(lambda x: x.sum(axis=1), (-1, SHORT)),
    "sum_short_columns": of_matrix(lambda x: x.sum(axis=0), (SHORT, -1)),
    "var_down": of_matrix(lambda x: x.var(axis=0)),
    "min_all": of_matrix(lambda x: x.min()),
    "argmin_all": of_matrix(lambda x: da.argmin(x.ravel())),
    "matmul_f64": product(np.float64),
    "matmul_f32": product(np.float32),
    "transpose_add": of_square(lambda x: (x + x.T).mean(axis=1)),
    "rechunk_sum": of_square(lambda x: x.rechunk((SIZE // RECHUNK_CUTS, SIZE)).sum(axis=1), True),
    "strided_sum": of_square(lambda x: x[::2, ::3].sum(axis=1)),
    "npy_sum": npy_sum,
    "tasks": tasks,
})
