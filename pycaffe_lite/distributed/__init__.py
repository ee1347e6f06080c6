"""Training in several processes, on one machine or many: the solver's ranks, over MPI.

The solver knows `solver.ranks`; what is here stands behind it. mpi4py is imported by `distributed.library`
alone, and only where ranks are made: a broken MPI ends the interpreter at import.
"""
