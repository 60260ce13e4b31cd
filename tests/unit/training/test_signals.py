import os
import signal
import threading

import pytest

from mrlspk.training.signals import StopRequest, asked_signal, signal_name


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_is_remembered_and_the_second_goes_to_whoever_had_it(number):
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


def test_signal_of_any_process_is_that_of_all():
    assert asked_signal([0.0, 1.0]) == signal.SIGTERM
    assert asked_signal([2.0, 1.0]) == signal.SIGINT
    assert asked_signal([0.0, 0.0]) == 0
    assert signal_name(signal.SIGTERM) == "SIGTERM"


def test_outside_the_main_thread_it_is_never_asked_for():
    handlers, flags = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)], []

    def work():
        with StopRequest() as stop:
            flags.append(stop.flags)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert flags == [(0.0, 0.0)]
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers
