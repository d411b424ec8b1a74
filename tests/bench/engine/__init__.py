"""`python -m tests.bench engine`: the engine's table. Ours direct and through gateways, stock MPyC, SPU, in one run.

Never a test. A machine shared with others is noisy: compare figures and ratios of one run alone.
"""
