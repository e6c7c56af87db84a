# SPDX-License-Identifier: Apache-2.0
#
# NumPy, by one thread but for its matrix product, and numexpr with its threads: the same work on the
# same sizes.

import os

from peer import SIZE, THREADS, need, scratch_file, serve_job, timed

np = need("numpy")
SHORT = 4


def vectors(count=2):
    generator = np.random.default_rng(1)
    return [generator.random(SIZE) for _ in range(count)]


def square():
    return np.random.default_rng(1).random((SIZE, SIZE))


def side():
    n = 1
    while n * n * 4 <= SIZE:
        n *= 2
    return n


def matrix():
    (x,) = vectors(1)
    return x.reshape(side(), -1)


def of_vectors(work):
    def prepare():
        a, b = vectors()
        return lambda: timed(lambda: work(a, b))

    return prepare


def into_memory(work):
    """The result goes to memory that is there, as Tessera's does."""

    def prepare():
        a, b = vectors()
        out = np.zeros(SIZE)
        return lambda: timed(lambda: work(a, b, out))

    return prepare


def of_matrix(work, make=matrix):
    def prepare():
        x = make()
        return lambda: timed(lambda: work(x))

    return prepare


def by_numexpr(text, has_out=False):
    def prepare():
        numexpr = need("numexpr")
        numexpr.set_num_threads(THREADS)
        a, b = vectors()
        out = np.zeros(SIZE)
        arguments = {"local_dict": {"a": a, "b": b}}
        if has_out:
            arguments["out"] = out
        return lambda: timed(lambda: numexpr.evaluate(text, **arguments))

    return prepare


def numexpr_mean(text):
    def prepare():
        numexpr = need("numexpr")
        numexpr.set_num_threads(THREADS)
        a, b = vectors()
        return lambda: timed(lambda: numexpr.evaluate(text, local_dict={"a": a, "b": b}) / SIZE)

    return prepare


def generated(make):
    """Seconds an element of numbers made in pieces that stay in the cache, and summed."""

    def prepare():
        generator = np.random.default_rng(1)
        piece = min(SIZE, 100000)

        def work():
            total = 0
            for _ in range(SIZE // piece):
                total += make(generator, piece).sum()
            return total

        return lambda: timed(work) / (SIZE // piece * piece)

    return prepare


def normal_element():
    generator = np.random.default_rng(1)

    def work():
        out = np.zeros(SIZE)
        for _ in range(SIZE):
            out += generator.standard_normal(SIZE)
        return out / SIZE

    return lambda: timed(work) / SIZE**2


def product(dtype):
    def prepare():
        a = square().astype(dtype)
        b = square().astype(dtype)
        out = np.zeros((SIZE, SIZE), dtype)
        return lambda: 2.0 * SIZE**3 / timed(lambda: np.matmul(a, b, out=out))

    return prepare


def transpose():
    x = square()
    out = np.zeros((SIZE, SIZE))
    return lambda: timed(lambda: np.copyto(out, x.T))


def npy_sum(mmap_mode):
    def prepare():
        path = scratch_file()
        np.save(path, square())
        return lambda: timed(lambda: np.load(path, mmap_mode=mmap_mode).sum(axis=1))

    return prepare


def sync(path):
    file = os.open(path, os.O_RDONLY)
    os.fsync(file)
    os.close(file)


def save_durably(path, x):
    """As Tessera saves: whole and on the disk before it takes the name, and then the name is."""
    temporary = path + ".part"
    with open(temporary, "wb") as file:
        np.save(file, x)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync(os.path.dirname(path))


def npy_save(save):
    def prepare():
        path = scratch_file()
        x = square()
        save(path, x)
        return lambda: timed(lambda: save(path, x))

    return prepare


serve_job({
    "sum_linear": of_vectors(lambda a, b: (2 * a + 3 * b).sum()),
    "mean_waves": of_vectors(lambda a, b: (np.sin(a)**2 + np.cos(b)**2).mean()),
    "add": into_memory(lambda a, b, out: np.add(a, b, out=out)),
    "exp": into_memory(lambda a, b, out: np.exp(a, out=out)),
    "where": into_memory(lambda a, b, out: np.copyto(out, np.where(a < b, a, b))),
    "cast": of_vectors(lambda a, b: a.astype(np.float32)),
    "numexpr_sum_linear": by_numexpr("sum(2*a + 3*b)"),
    "numexpr_mean_waves": numexpr_mean("sum(sin(a)**2 + cos(b)**2)"),
    "numexpr_add": by_numexpr("a + b", True),
    "numexpr_exp": by_numexpr("exp(a)", True),
    "numexpr_where": by_numexpr("where(a < b, a, b)", True),
    "sum_down": of_matrix(lambda x: x.sum(axis=0)),
    "sum_across": of_matrix(lambda x: x.sum(axis=1)),
    "sum_short_rows": of_matrix(lambda x: x.reshape(-1, SHORT).sum(axis=1)),
    "sum_short_columns": of_matrix(lambda x: x.reshape(SHORT, -1).sum(axis=0)),
    "var_down": of_matrix(lambda x: x.var(axis=0)),
    "min_all": of_matrix(lambda x: x.min()),
    "argmin_all": of_matrix(lambda x: x.argmin()),
    "normal_element": normal_element,
    "random_normal": generated(lambda g, n: g.standard_normal(n)),
    "random_normal_f32": generated(lambda g, n: g.standard_normal(n, np.float32)),
    "random_uniform": generated(lambda g, n: g.random(n)),
    "random_i64": generated(lambda g, n: g.integers(0, 1000, n)),
    "random_i32": generated(lambda g, n: g.integers(0, 1000, n, np.int32)),
    "random_u8": generated(lambda g, n: g.integers(0, 100, n, np.uint8)),
    "matmul_f64": product(np.float64),
    "matmul_f32": product(np.float32),
    "transpose_add": of_matrix(lambda x: (x + x.T).mean(axis=1), square),
    "transpose": transpose,
    "strided_sum": of_matrix(lambda x: x[::2, ::3].sum(axis=1), square),
    "npy_sum": npy_sum("r"),
    "npy_sum_read": npy_sum(None),
    "npy_save": npy_save(np.save),
    "npy_save_durably": npy_save(save_durably),
})
