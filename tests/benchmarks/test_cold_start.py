"""Cold processes of the command line, as a user's shell sees them."""

import os
import subprocess
import sys

import pytest

COMMANDS = {
    "python alone": [sys.executable, "-c", "pass"],
    "--help": [sys.executable, "-m", "meanfield", "--help"],
    "critical tanh": [sys.executable, "-m", "meanfield", "critical", "tanh", "--sigma-b", "0.3"],
    "critical expression": [sys.executable, "-m", "meanfield", "critical", "sin(x)/(1+abs(x))", "--sigma-b", "0.1"],
}


@pytest.mark.benchmark(group="cold process")
@pytest.mark.parametrize("name", COMMANDS)
def test_cold_process(benchmark, name):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    run = lambda: subprocess.run(COMMANDS[name], env=environment, capture_output=True, check=True)  # noqa: E731
    benchmark.pedantic(run, rounds=5, warmup_rounds=1)
