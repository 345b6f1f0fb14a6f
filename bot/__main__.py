"""`python -m bot` is `parley`."""

from bot.cli import main

if __name__ == "__main__":
    main()
