# SPDX-License-Identifier: Apache-2.0
#
# The main job on Dask's threads, with NumPy's newer generator, where this version of Dask has it.

import time

import dask
import dask.array as da
from peer import serve

generator = da.random.default_rng(1)


def work():
    start = time.perf_counter()
    with dask.config.set(scheduler="threads", num_workers=2):
        generator.normal(size=(10000, 10000), chunks=(1000, 1000)).mean(axis=0).compute()
    return time.perf_counter() - start


serve(work)
