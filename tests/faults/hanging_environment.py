"""check_train, in environments that hang at their first step, but for those that the main thread steps.

python tests/faults/hanging_environment.py [options of the check]
"""

import sys
import threading
import time

import gymnasium

from checks import check_train, fetch


class Hanging(gymnasium.Wrapper):
    def step(self, action):
        if threading.current_thread() is not threading.main_thread():
            print("hanging", file=sys.stderr, flush=True)
            threading.Event().wait()
        time.sleep(0.1)  # long enough for the others to take one
        return self.env.step(action)


if __name__ == "__main__":
    make = gymnasium.spec(fetch.SMOKE_ENV).make
    fetch.SMOKE_ENV = lambda **options: Hanging(make(**options))
    sys.exit(check_train.main(sys.argv[1:]))
