"""Run functions in two connected processes, as in a run."""

import importlib.util
import multiprocessing
import warnings
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import distributed

from mrlspk.distributed import Ranks


def in_two(function, *arguments, n_processes=2):
    """Return the results of ``function(ranks, *arguments)`` by rank; an exception of one process is raised here.

    The function is at the top level of a module that imports without pytest; its arguments and results are picklable.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mrlspk.distributed", "mrlspk.losses"])
    named = function.__code__.co_filename, function.__qualname__
    with TemporaryDirectory() as folder:
        pairs = [context.Pipe(duplex=False) for _ in range(n_processes)]
        processes = [
            context.Process(target=_run, args=(named, arguments, Path(folder), number, n_processes, theirs))
            for number, (_, theirs) in enumerate(pairs)
        ]
        try:
            for process, (_, theirs) in zip(processes, pairs, strict=True):
                process.start()
                theirs.close()
            found = [_received(ours) for ours, _ in pairs]
        finally:
            for process in processes:
                process.kill()
                process.join()
    for each in found:
        if isinstance(each, BaseException):
            raise each
    return found


def _received(connection):
    try:
        return connection.recv()
    except EOFError:
        return RuntimeError("a process ended without a result")


def _run(named, arguments, folder, number, n_processes, connection):
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    meeting = {"init_method": f"file://{folder / 'meeting'}", "timeout": timedelta(minutes=5)}
    distributed.init_process_group("gloo", rank=number, world_size=n_processes, **meeting)
    try:
        found = _load(*named)(Ranks(number, n_processes), *arguments)
        distributed.barrier()
    except Exception as error:  # noqa: BLE001  (it is raised where the function was called)
        found = error
    connection.send(found)
    connection.close()


def _load(path, name):
    description = importlib.util.spec_from_file_location(Path(path).stem, path)
    module = importlib.util.module_from_spec(description)
    description.loader.exec_module(module)
    return getattr(module, name)
