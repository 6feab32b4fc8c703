"""Run by horovodrun: two ranks add up their numbers, which shows that the build loads and that ranks find each other."""

import sys

import horovod.torch as hvd
import torch

hvd.init()
total = hvd.allreduce(torch.tensor([hvd.rank() + 1.0]), op=hvd.Sum).item()
if (hvd.size(), total) != (2, 3.0):
    sys.exit(f"2 ranks should sum to 3: {hvd.size()} ranks summed to {total}")
