"""``python -m icones`` is the same as ``icones``."""

from icones.cli import main

if __name__ == "__main__":
    main()
