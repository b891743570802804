"""check_train, which is given no more processes and threads, or memory, once it comes to one of its functions.

python tests/faults/limited.py processes|memory environments|replay [options of the check]

Of processes: not as root, who is exempt from that limit.
"""

import os
import resource
import sys
from pathlib import Path

from checks import check_train


def limit(what: str) -> None:
    """Set the limit, on this process and on those that it has started."""
    started = [child for file in Path("/proc/self/task").glob("*/children") for child in file.read_text().split()]
    for pid in [os.getpid(), *map(int, started)]:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
        which, most = {"processes": (resource.RLIMIT_NPROC, 0), "memory": (resource.RLIMIT_AS, pages * 4096)}[what]
        resource.prlimit(pid, which, (most, most))


if __name__ == "__main__":
    what, function, *options = sys.argv[1:]
    as_it_is = getattr(check_train, function)

    def limited(*arguments):
        limit(what)
        return as_it_is(*arguments)

    setattr(check_train, function, limited)
    sys.exit(check_train.main(options))
