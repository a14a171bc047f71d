"""Keep what searches see in step with the store, reading only what is new."""

from __future__ import annotations

import logging
import threading

import numpy as np

from indexes import generations
from indexes.reading import State, StoreReader
from indexes.segments import Segment, Snapshot

# Each search costs a little per segment; so many small ones are read anew as one.
_MOST_SEGMENTS = 8

log = logging.getLogger(__name__)


class Snapshots:
    """The newest snapshot of a store; any thread may ask."""

    def __init__(self, store: StoreReader) -> None:
        self._store = store
        self._advancing = threading.Lock()
        self._newest: Snapshot | None = None

    def current(self) -> Snapshot:
        """Return a snapshot that holds every commit made before the call."""
        state = self._store.state()
        newest = self._newest
        if newest is not None and _fits(newest, state):
            return newest
        with self._advancing:
            newest = self._newest
            if newest is None or not _fits(newest, state):
                newest = self._newest = self._advanced(newest, state)
            return newest

    def _advanced(self, newest: Snapshot | None, state: State) -> Snapshot:
        if newest is None or newest.epoch != state.epoch or len(newest.segments) >= _MOST_SEGMENTS:
            newest = self._base(newest, state)
        grown = self._replayed(newest)
        # A rewrite between the two reads makes the base worthless: start over from it.
        return grown if grown.epoch == newest.epoch else self._advanced(None, self._store.state())

    def _base(self, newest: Snapshot | None, state: State) -> Snapshot:
        """Return what to replay on: the newest index files, else the first segment that is held, else nothing."""
        held = newest.segments[0] if newest is not None and newest.epoch == state.epoch and newest.segments else None
        for generation in self._store.generations():
            if generation.epoch != state.epoch:
                continue
            if held is not None and newest is not None and generation.last_chunk <= held.last_id:
                break
            segment = generations.load(
                self._store.data_dir, generation, dimension=state.dimension, embedder=state.embedder
            )
            if segment is not None:
                return _snapshot(generation.change, state.epoch, (segment,))
        if held is not None and newest is not None:
            return Snapshot(
                change=newest.change, epoch=newest.epoch, segments=(held,), alive=newest.alive[: len(held.ids)]
            )
        return _snapshot(0, state.epoch, ())

    def _replayed(self, base: Snapshot) -> Snapshot:
        delta = self._store.since(change=base.change, last_chunk=base.last_id)
        segments, alive = base.segments, base.without(delta.removed)
        if delta.added:
            segments = (*segments, Segment.build(delta.added, dimension=delta.state.dimension))
            alive = np.concatenate([alive, np.ones(len(delta.added), bool)])
        return Snapshot(change=delta.state.change, epoch=delta.state.epoch, segments=segments, alive=alive)


def _fits(snapshot: Snapshot, state: State) -> bool:
    return snapshot.epoch == state.epoch and snapshot.change >= state.change


def _snapshot(change: int, epoch: int, segments: tuple[Segment, ...]) -> Snapshot:
    alive = np.ones(sum(len(segment.ids) for segment in segments), bool)
    return Snapshot(change=change, epoch=epoch, segments=segments, alive=alive)
