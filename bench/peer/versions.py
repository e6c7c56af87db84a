# SPDX-License-Identifier: Apache-2.0
#
# Prints the versions of what the peers stand on, as JSON; what is not installed is left out.

import importlib
import json
import platform
import shutil
import subprocess

versions = {"Python": platform.python_version()}
for title, name in (("NumPy", "numpy"), ("numexpr", "numexpr"), ("Dask", "dask"),
                    ("Dask distributed", "distributed"), ("mpi4py", "mpi4py"),
                    ("Celery", "celery"), ("redis (Python)", "redis"),
                    ("cryptography", "cryptography")):
    try:
        versions[title] = importlib.import_module(name).__version__
    except Exception:  # not installed, or broken: it has no version either way
        pass
for title, program in (("Open MPI", "mpirun"), ("Redis", "redis-server")):
    if shutil.which(program):
        answer = subprocess.run([program, "--version"], capture_output=True, text=True)
        versions[title] = answer.stdout.splitlines()[0] if answer.stdout else "unknown"
print(json.dumps(versions))
