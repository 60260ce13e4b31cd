"""Signals during a run."""

import os
import signal
import threading

import pytest

from mrlspk.training.signals import StopRequest, asked_signal, signal_name


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_second_signal_goes_to_the_previous_handler(number):
    passed = []
    before = signal.signal(number, lambda *_: passed.append(number))
    try:
        with StopRequest() as stop:
            assert asked_signal(stop.flags) == 0
            os.kill(os.getpid(), number)
            assert asked_signal(stop.flags) == number
            assert not passed
            os.kill(os.getpid(), number)
            assert passed == [number]
        os.kill(os.getpid(), number)
        assert passed == [number, number]
    finally:
        signal.signal(number, before)


def test_signal_of_any_process_stops_all():
    assert asked_signal([0.0, 1.0]) == signal.SIGTERM
    assert asked_signal([2.0, 1.0]) == signal.SIGINT
    assert asked_signal([0.0, 0.0]) == 0
    assert signal_name(signal.SIGTERM) == "SIGTERM"


def test_stop_is_never_requested_outside_the_main_thread():
    handlers, flags = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)], []

    def work():
        with StopRequest() as stop:
            flags.append(stop.flags)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert flags == [(0.0, 0.0)]
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers
