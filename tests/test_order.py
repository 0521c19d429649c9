"""The order of an epoch over a large set: every record once, shuffled, and in few long reads."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet_tf import order, pipeline, prepared
from alexnet_tf.preprocess import Preprocess
from alexnet_tf.splits import Split


@given(st.integers(1, 30_000), st.integers(0, 9), st.integers(0, 9))
def test_each_record_comes_once_an_epoch_in_windows_of_whole_blocks(images, seed, epoch):
    places = order.of_epoch(images, seed, epoch)
    np.testing.assert_array_equal(np.sort(places), np.arange(images))
    blocks, whole = places // order.BLOCK, -(-images // order.BLOCK)
    seen, start = [], 0
    while start < images:  # a window is one short at most, by what the last block lacks
        here = set(blocks[start : start + order.WINDOW - order.BLOCK + 1].tolist())
        stop = start + sum(min(order.BLOCK, images - block * order.BLOCK) for block in here)
        assert set(blocks[start:stop].tolist()) == here
        seen, start = [*seen, *here], stop
    assert len(seen) == len(set(seen)) == whole


def test_records_of_a_window_are_shuffled_and_epochs_differ():
    first, again, other = order.of_epoch(20_000, 1, 0), order.of_epoch(20_000, 1, 0), order.of_epoch(20_000, 1, 1)
    np.testing.assert_array_equal(first, again)
    assert (first[:4096] // order.BLOCK != other[:4096] // order.BLOCK).mean() > 0.9
    assert (np.abs(np.diff(first[:4096])) == 1).mean() < 0.01, "no neighbours behind each other"
    assert not np.array_equal(first, order.of_epoch(20_000, 2, 0))


@pytest.fixture
def large(tmp_path, monkeypatch):
    """Records of two shards, more of them than a window of 64; and what the system is asked to fetch."""
    monkeypatch.setattr(order, "BLOCK", 8)
    monkeypatch.setattr(order, "WINDOW", 64)
    order.of_epoch.cache_clear()
    files = [str(tmp_path / f"x-train.tfrecord-0000{number}-of-00002") for number in range(2)]
    for file in files:
        (tmp_path / file).write_bytes(bytes(100_016 * 100))
    places = tuple(f"{file}#{12 + 100_016 * number}+100000" for file in files for number in range(100))
    asked = []
    monkeypatch.setattr(os, "posix_fadvise", lambda *words: asked.append(words[1:3]), raising=False)
    yield Split(np.arange(200), np.arange(200) % 2, files=places), asked
    order.of_epoch.cache_clear()


def test_a_window_is_asked_for_before_it_is_read_in_few_long_reads(large):
    split, asked = large
    whole = order.of_epoch(200, 0, 0)
    told = []
    for start in range(0, 200, 16):
        before = len(asked)
        order.ask_ahead(split, whole, start, min(16, 200 - start))
        told.append(len(asked) - before)
    assert [bool(count) for count in told[:12]] == [True, False, False, False] * 3
    assert told[0] <= 2 * 64 / 8, "two windows, a read a block at most"
    covered = sum(length for _, length in asked)
    assert covered >= 200 * 100_000
    assert covered < 200 * 100_100, "and nothing twice"


def test_neighbours_are_one_read():
    places = ["a#12+100", "a#128+100", "a#1000000+50", "b#0+10"]
    found = list(prepared.runs_of(reversed(places)))
    assert found == [("a", 12, 232), ("a", 1_000_000, 1_000_054), ("b", 0, 14)]


def test_the_stream_follows_the_order_and_asks_ahead_also_where_it_is_resumed(large, monkeypatch):
    split, asked = large

    def fetch(*_):
        import tensorflow as tf

        return lambda places: (tf.cast(places, tf.float32)[:, None, None, None] * tf.ones([1, 4, 4, 3]), places)

    monkeypatch.setattr(pipeline, "_fetch", fetch)
    monkeypatch.setattr(pipeline, "HELD", 0)  # as larger sets, which are decoded again and again
    stream = pipeline.training_stream(split, 2, Preprocess(4), 20, 3)
    labels = np.concatenate([labels for _, labels in stream.take(10).as_numpy_iterator()])
    np.testing.assert_array_equal(labels, order.of_epoch(200, 3, 0))
    assert sum(length for _, length in asked) >= 200 * 100_000
    resumed = pipeline.training_stream(split, 2, Preprocess(4), 20, 3, begin=(0, 4)).take(1)
    np.testing.assert_array_equal(next(resumed.as_numpy_iterator())[1], labels[80:100])


def test_small_sets_and_files_of_their_own_keep_their_order():
    few = Split(np.arange(9), np.zeros(9, "int64"), files=("a#1+2",) * 9)
    many = Split(np.arange(5000), np.zeros(5000, "int64"), files=("a.jpg",) * 5000)
    assert not order.in_blocks(few)
    assert not order.in_blocks(many)
    key = pipeline.tf.constant([5, 2], pipeline.tf.int64)
    expected = pipeline.tf.random.experimental.stateless_shuffle(pipeline.tf.range(9), key)
    np.testing.assert_array_equal(pipeline._order(few, key), expected)
