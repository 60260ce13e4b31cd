"""A process that calls every collective operation, to be started by a test."""

import torch
from torch import distributed

from mrlspk.distributed import Ranks


def answer_all(number, address, answers):
    """Put the results of every collective operation."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{address}", rank=number, world_size=2)
    ranks = Ranks(number, 2)
    answers.put((number, dict(results_of(ranks))))
    ranks.barrier()
    distributed.destroy_process_group()


def results_of(ranks):
    number = ranks.rank
    yield "is_first", ranks.is_first
    yield "shard", ranks.shard("abcde")
    yield "all_reduce", ranks.all_reduce([1.0 + number, 0.1, float(number)])
    yield "broadcast", ranks.broadcast({"from": number} if ranks.is_first else None)
    yield "all_gather", ranks.all_gather(("number", number))
    tensors = [torch.full((2,), float(number)), torch.tensor([number + 5], dtype=torch.int64)]
    ranks.broadcast_tensors(tensors)
    yield "broadcast_tensors", [tensor.tolist() for tensor in tensors]
    yield "all_gather_rows", ranks.all_gather_rows(torch.tensor([[1, 2], [3, 4]]) + 10 * number).tolist()
    yield "gradient", gradient_of_gathered_rows(ranks)


def gradient_of_gathered_rows(ranks):
    """The first process has the rows 1 and 2, the second 3 and 4; each weights all four differently."""
    rows = torch.tensor([[1.0], [2.0]]) + 2 * ranks.rank
    rows.requires_grad_()
    gathered = ranks.all_gather_rows(rows)
    weights = torch.tensor([[1.0], [10.0], [100.0], [1000.0]]) * (ranks.rank + 1)
    (weights * gathered**2).sum().backward()
    return gathered.tolist(), rows.grad.tolist()
