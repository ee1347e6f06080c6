"""Runs the command line from a checkout: `python cli.py train solver.prototxt`."""

from pycaffe_lite.cli import main

if __name__ == "__main__":
    main()
