"""Images are read ahead by bytes, in their order, and all of them."""

import threading
import time

import numpy as np
import pytest

from vmixjax.data.example import Example
from vmixjax.errors import ImageError
from vmixjax.release.shards import list_shards, read_windows
from vmixjax.release.threads import Threads, start_threads
from vmixjax.release.transforms import Task

MEGABYTE = 2**20


@pytest.mark.parametrize(
    "sizes", [[1] * 40, [9, 1, 1, 30, 1, 30, 30, 2, 2] * 3, [50] * 5]
)
def test_all_come_in_order_and_few_at_once(sizes):
    lock, now, most = threading.Lock(), 0, 0
    (shard,) = list_shards({"train": len(sizes)}, 100)

    def read(index, claim):
        nonlocal now, most
        claim(sizes[index] * MEGABYTE)
        with lock:
            now += sizes[index]
            most = max(most, now)
        time.sleep(0.002)
        image = np.zeros((sizes[index] * MEGABYTE, 1, 1), np.uint8)
        if index % 7 == 3:
            with lock:
                now -= sizes[index]
            raise ImageError(f"{index} cannot be read")
        return Task(index, Example("", "", "", image), "", None)

    left_out, seen = [], []
    with start_threads(3) as threads:
        small = Threads(threads.codec, threads.device, threads.disk, 12, 32 * MEGABYTE)
        for window in read_windows(shard, read, small, left_out.append):
            for task in window:
                seen.append(task.index)
                with lock:
                    now -= sizes[task.index]
    failed = [index for index in range(len(sizes)) if index % 7 == 3]
    assert seen == [i for i in range(len(sizes)) if i not in failed]
    assert [str(error) for error in left_out] == [f"{i} cannot be read" for i in failed]
    # Those in a window that is not full yet are the reader's no more.
    assert most <= 32 + 2 * max(sizes) + 16


def test_what_stops_the_reading_stops_it(tmp_path):
    (shard,) = list_shards({"train": 50}, 100)

    def read(index, claim):
        claim(MEGABYTE)
        raise OSError("the disk is gone")

    with start_threads(2) as threads, pytest.raises(OSError, match="disk is gone"):
        list(read_windows(shard, read, threads, print))
