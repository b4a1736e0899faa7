"""``python -m rondeau`` is the command ``rondeau``."""

from rondeau.cli import main

if __name__ == "__main__":
    main()
