"""check_train, in an environment that raises where it is told to.

python tests/faults/raising_environment.py __init__|step [options of the check]
"""

import sys

import gymnasium

from checks import check_train, fetch


class Raising(gymnasium.Wrapper):
    pass


def no_such_joint(self, *arguments):
    raise ValueError("no such joint")


if __name__ == "__main__":
    method, *options = sys.argv[1:]
    setattr(Raising, method, no_such_joint)
    make = gymnasium.spec(fetch.SMOKE_ENV).make
    fetch.SMOKE_ENV = lambda **options: Raising(make(**options))
    sys.exit(check_train.main(options))
