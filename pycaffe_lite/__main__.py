"""`python -m pycaffe_lite`: the command line, where the command is not on the PATH."""

from pycaffe_lite.cli import main

if __name__ == "__main__":
    main()
