"""Proof of the promises: real processes under load, faults chosen by a seed, and a checker of what came of it.

An episode (`episode.py`) starts from a running world (`world.py`), puts it under load (`clients.py`), injects faults
(`faults.py` chooses them), heals, waits until everything is folded (`draining.py`), reads all that is stored
(`reading.py`), and asks the checker (`checker.py`) whether that can have come from what clients were told (`history.py`).
`make chaos` plays episodes for a given time; docs/reliability.md says what is promised and how each promise is checked.
"""
