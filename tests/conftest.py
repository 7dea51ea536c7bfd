"""Settings of all tests."""

import os
import signal
import threading

from hypothesis import settings

# Before numpy is loaded: where processes share cores, a second BLAS thread slows products down.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# Whoever runs the tests has a terminal of some width, and pytest's workers are told of it; answers do not depend on it.
os.environ.pop("COLUMNS", None)

# Shells start what runs in the background with interrupts ignored, and its children inherit that.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples every time: a red test stays red until it is mended.
settings.register_profile("meanfield", deadline=None, derandomize=True)
settings.load_profile("meanfield")
