"""Values that no command can work with: one line that names argument, rule and value, before any work."""

import os
import signal

import pytest

HUGE = 10**30


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["critical", "tanh", "--sigma-b", "1e155"], ["sigma_b must be", "1e+155"]),
        (["fixed-points", "tanh", "--sigma-w", "1e308", "--sigma-b", "0"], ["sigma_w must be", "1e+308"]),
        (["line", "tanh", "--points", "1000000000"], ["--points", "1000000000", "100000"]),
        (["line", "tanh", "--sigma-b", "0.5", "0.1"], ["sigma_b must be LOW < HIGH", "0.5 0.1"]),
        (["line", "tanh", "--q-star", "1", "1"], ["q_star must be LOW < HIGH", "1 1"]),
        (["phase", "tanh", "--sigma-w", "2", "1"], ["sigma_w must be LOW < HIGH", "2 1"]),
        (["phase", "tanh", "--sigma-b", "1", "0"], ["sigma_b must be LOW < HIGH", "1 0"]),
        (["phase", "tanh", "--workers", str(HUGE)], ["--workers", str(HUGE), "1000"]),
        (["propagate", "tanh", "--sigma-w", "1", "--sigma-b", "0", "--depth", str(HUGE)], ["depth must be <="]),
        (["propagate", "tanh", "--sigma-w", "1", "--sigma-b", "0", "--c0", ""], ["--c0", "''"]),
        (["spectrum", "tanh", "--depth", "1e9"], ["--depth", "'1e9'"]),
        (["spectrum", "tanh", "--depth", str(HUGE)], ["depth must be <="]),
        (["spectrum", "tanh", "--simulate", "--level", "2"], ["level must be in (0, 1)", "2"]),
        (["spectrum", "tanh", "--simulate", "--networks", str(10**15)], ["machine's 16 GB of memory"]),
        (["init", "tanh", "1000000", "1000000"], ["machine's 16 GB of memory", "2.4e+04 GB"]),
        (["init", "tanh", "10", str(HUGE)], ["machine's 16 GB of memory"]),
        (["init", "tanh", "10", "-5"], ["widths must be >= 1", "-5"]),
        (["fisher", "tanh", "--depth", str(10**12)], ["depth must be <="]),
        (["phase", "tanh", "--folder", ""], ["--folder", "a folder must have a name, got ''. Try 'meanfield phase"]),
        (["report", "tanh", "--output", ""], ["--output", "a folder must have a name"]),
        (["explore", "--no-catalogue"], ["--no-catalogue needs a --phi"]),
    ],
)
def test_one_line(terminal, monkeypatch, words, parts):
    monkeypatch.setattr("meanfield.memory.machine_memory", lambda: 16e9)
    message = terminal.refused(*words)["message"]
    for part in parts:
        assert part in message


def test_settings_of_a_report_are_refused_before_its_work(terminal, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("meanfield.memory.machine_memory", lambda: 16e9)

    def work(*_args, **_options):
        raise AssertionError("the work had begun")

    for name in ("meanfield.phase_diagram", "verify.certificate.simulate", "meanfield.cli.defaults.drawn_line"):
        monkeypatch.setattr(name, work)
    for words, part in (
        (("--level", 2), "level must be in (0, 1), got 2"),
        (("--seed", -1), "seed must be >= 0, got -1"),
        (("--depth", 0), "depth must be >= 1, got 0"),
        (("--widths", "1,50"), "widths must be >= 3, got 1"),
        (("--networks", 1), "networks must be >= 2, got 1"),
        (("--widths", 10**9), "machine's 16 GB of memory"),
    ):
        assert part in terminal.refused("report", "tanh", *words)["message"]
    assert list(tmp_path.iterdir()) == []


def test_too_little_memory_is_no_bug(terminal, monkeypatch):
    def work(*_args, **_options):
        raise MemoryError("Unable to allocate 3.49 GiB")

    monkeypatch.setattr("meanfield.critical_point", work)
    assert "more memory than there is: Unable to allocate 3.49" in terminal.refused("critical", "tanh")["message"]


def test_an_unstable_critical_point_is_told_once(terminal):
    stderr = terminal.ok("init", "silu", 10, 5, "--sigma-b", 0.2).stderr
    assert stderr.count("unstable fixed point") == 1
    assert stderr.startswith("Warning: silu")


def test_weights_whose_square_vanishes_have_fisher_numbers(terminal):
    record = terminal.json("fisher", "tanh", "--sigma-b", 0.05, "--sigma-w", "1e-320", "--depth", 2)
    assert record["input_norm"] == 1


def blocks_interrupts(_item):
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="the system has no signal masks")
def test_ctrl_c_does_not_stop_a_worker_that_starts():
    from meanfield.cli.pool import pool

    with pool(2, "test") as executor:
        assert list(executor.map(blocks_interrupts, range(2))) == [True, True]
    assert not blocks_interrupts(None)


def test_an_import_stopped_by_ctrl_c_is_an_interrupt(terminal, monkeypatch):
    def half_imported(*_args, **_options):
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("initialization failed") from None

    monkeypatch.setattr("meanfield.critical_point", half_imported)
    assert terminal.ok("critical", "tanh", code=130).stderr == "Interrupted.\n"
