"""How many cores a thread computes with. Knows OpenMP, which torch and FAISS share the work by."""

import torch
from threadpoolctl import ThreadpoolController


def use_one_core() -> None:
    """Let OpenMP start no more threads for the thread that calls this; all others keep theirs.

    `torch.set_num_threads` would do the same to every thread that is made later.
    """
    torch.get_num_threads()  # sets this thread's number on its first call, so not after the limit
    ThreadpoolController().limit(limits=1, user_api="openmp")
