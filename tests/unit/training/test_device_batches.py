"""Batches on a device: in order, and on a GPU copied one ahead; CUDA is replaced by stand-ins."""

from contextlib import contextmanager

import pytest
import torch

from mrlspk.training import device_batches
from mrlspk.training.device_batches import DeviceBatches

CPU = torch.device("cpu")


def batches(n, taken):
    for number in range(n):
        taken.append(number)
        yield torch.full((2, 3), float(number)), torch.tensor([number, number])


def test_cpu_batches_are_not_read_ahead():
    taken = []
    found = DeviceBatches(batches(3, taken), CPU)
    assert iter(found) is found
    first = next(found)
    assert taken == [0]
    assert torch.equal(first[0], torch.zeros(2, 3))
    assert [batch[1].tolist() for batch in found] == [[1, 1], [2, 2]]
    with pytest.raises(StopIteration):
        next(found)


def test_waiting_time_is_summed(monkeypatch):
    moments = iter([10.0, 12.5, 20.0, 20.25, 30.0, 31.0])
    monkeypatch.setattr(device_batches.time, "monotonic", lambda: next(moments))
    found = DeviceBatches(batches(2, []), CPU)
    next(found)
    assert found.waited_seconds == 2.5
    next(found)
    assert found.waited_seconds == 2.75
    with pytest.raises(StopIteration):
        next(found)
    assert found.waited_seconds == 3.75  # the end is waited for too


class FakeValues:
    """A tensor that notes what is done with it."""

    def __init__(self, name, events):
        self.name, self.events = name, events

    def to(self, device, *, non_blocking):
        self.events.append(f"copy {self.name} to {device.type}, waiting: {not non_blocking}")
        return self

    def record_stream(self, stream):
        self.events.append(f"record {self.name} on {stream.name}")


class FakeStream:
    def __init__(self, name, events):
        self.name, self.events = name, events

    def wait_stream(self, other):
        self.events.append(f"{self.name} waits for {other.name}")


@pytest.fixture
def cuda(monkeypatch):
    """Stand in for CUDA's streams; return the list of what happened."""
    events = []

    @contextmanager
    def entered(stream):
        events.append(f"enter {stream.name}")
        yield
        events.append(f"leave {stream.name}")

    monkeypatch.setattr(torch.cuda, "Stream", lambda _device: FakeStream("side", events))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _device: FakeStream("main", events))
    monkeypatch.setattr(torch.cuda, "stream", entered)
    return events


def test_gpu_copy_is_one_batch_ahead(cuda):
    def source():
        for name in "ab":
            cuda.append(f"load {name}")
            yield (FakeValues(name, cuda),)

    found = DeviceBatches(source(), torch.device("cuda", 0))
    assert cuda == []
    sent_a = ["load a", "enter side", "copy a to cuda, waiting: False", "leave side"]
    sent_b = ["load b", "enter side", "copy b to cuda, waiting: False", "leave side"]
    assert next(found)[0].name == "a"
    assert cuda == [*sent_a, "main waits for side", "record a on main", *sent_b]
    cuda.clear()
    assert next(found)[0].name == "b"
    assert cuda == ["main waits for side", "record b on main"]
    assert list(found) == []


def test_no_batch_is_no_error(cuda):
    assert list(DeviceBatches([], torch.device("cuda", 0))) == []
    assert cuda == []
