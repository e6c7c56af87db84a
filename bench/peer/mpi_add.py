# SPDX-License-Identifier: Apache-2.0
#
# Vector addition with MPI: rank 0 sends two arrays to rank 1, which adds them and sends the sum
# back; all from buffers that are there, without pickling. Started by itself, it starts mpirun. Job
# add_tcp does the same over tcp, as between hosts, instead of the memory that both share.

import os
import shutil
import sys
import time

from peer import JOB, SIZE, need, serve, tell, timed

np = need("numpy")


def start_mpi():
    need("mpi4py")
    if not shutil.which("mpirun"):
        tell("absent", "mpirun is not installed")
        sys.exit(0)
    # Open MPI refuses to be run by root, as in a container, unless it is told twice.
    os.environ["OMPI_ALLOW_RUN_AS_ROOT"] = "1"
    os.environ["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1"
    way = ["--mca", "pml", "ob1", "--mca", "btl", "tcp,self", "--mca", "btl_tcp_if_include", "lo"]
    os.execvp("mpirun", ["mpirun", "-n", "2", "--oversubscribe", "--bind-to", "none"] +
              (way if JOB == "add_tcp" else []) + [sys.executable] + sys.argv)


def answer(comm, a, b):
    """Rank 1: waits without taking a processor's time, since others are measured meanwhile, until
    a byte says that a run begins or that all is over."""
    flag = np.zeros(1, np.int8)
    while True:
        while not comm.Iprobe(source=0, tag=1):
            time.sleep(0.0005)
        comm.Recv(flag, source=0, tag=1)
        if flag[0] == 0:
            return
        comm.Send(flag, dest=0, tag=1)
        comm.Recv(a, source=0, tag=2)
        comm.Recv(b, source=0, tag=3)
        np.add(a, b, out=a)
        comm.Send(a, dest=0, tag=4)


def main():
    if "OMPI_COMM_WORLD_RANK" not in os.environ:
        start_mpi()
    from mpi4py import MPI
    comm = MPI.COMM_WORLD
    a = np.full(SIZE, 2.0)
    b = np.full(SIZE, 3.0)
    out = np.zeros(SIZE)
    if comm.Get_rank() == 1:
        answer(comm, a, b)
        return
    flag = np.ones(1, np.int8)

    def work():
        comm.Send(a, dest=1, tag=2)
        comm.Send(b, dest=1, tag=3)
        comm.Recv(out, source=1, tag=4)

    def measure():
        # The other rank is awake and waits before the clock starts.
        comm.Send(flag, dest=1, tag=1)
        comm.Recv(flag, source=1, tag=1)
        return timed(work)

    serve(measure)
    comm.Send(np.zeros(1, np.int8), dest=1, tag=1)


main()
