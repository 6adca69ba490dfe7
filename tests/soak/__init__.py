"""Does anything grow without bound? The system under half of the load it can carry, watched for as long as one likes.

`__main__` runs it, `stand` starts the system, `town` and `load` are its clients, `watching` samples it, `verdicts` judges
what was sampled, `report` tells it.
"""
