# SPDX-License-Identifier: Apache-2.0
#
# The main job on Dask's threads, with the generator that da.random.normal has by default.

import time

import dask
import dask.array as da
from peer import serve


def work():
    start = time.perf_counter()
    with dask.config.set(scheduler="threads", num_workers=2):
        da.random.normal(size=(10000, 10000), chunks=(1000, 1000)).mean(axis=0).compute()
    return time.perf_counter() - start


serve(work)
