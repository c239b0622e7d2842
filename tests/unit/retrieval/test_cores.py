"""One core for one thread: the others, and threads made later, keep theirs."""

from concurrent.futures import ThreadPoolExecutor

import torch

from retrieval.cores import use_one_core


def _threads_of(pool: ThreadPoolExecutor) -> int:
    return pool.submit(torch.get_num_threads).result()


def test_only_the_calling_thread_is_held_to_one_core() -> None:
    before = torch.get_num_threads()
    with ThreadPoolExecutor(1, initializer=use_one_core) as held, ThreadPoolExecutor(1) as later:
        assert _threads_of(held) == 1
        assert _threads_of(later) == before
    assert torch.get_num_threads() == before
