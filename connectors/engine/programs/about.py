"""What a program says of itself to people who choose or admit it."""

from dataclasses import dataclass

from connectors.engine.rows import Parameters


@dataclass(frozen=True, slots=True)
class About:
    """What it is, what providers put in, what comes out, how large a question it takes, what its cost consists of; and
    a question, in words and as parameters, of which `cost` gives examples.
    """

    title: str
    inputs: str
    outputs: str
    takes: str
    formula: str
    sampled: str
    sample: Parameters
