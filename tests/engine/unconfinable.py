"""A fork server on a machine without Landlock, for all that its parties can see."""

from connectors.engine import confinement, forkserver

if __name__ == "__main__":
    confinement._landlock_version = lambda: 0
    forkserver.main()
