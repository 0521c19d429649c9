"""Processes that share the tests share the processor's cores as well."""

import os


def pytest_configure():
    """Leave each process its share of the cores, before anything asks how many there are."""
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
    if processes > 1:
        for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"):
            os.environ.setdefault(name, str(max(1, (os.cpu_count() or 1) // processes)))
