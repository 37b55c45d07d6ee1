"""What the programs for peers measure alike."""
import resource
import time


def timed(work):
    """Wall and CPU, ms."""
    start, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return ((time.perf_counter() - start) * 1e3,
            (after.ru_utime - used.ru_utime + after.ru_stime - used.ru_stime) * 1e3)
