"""`python -m localai` is the same as the command `local-ai`."""

from localai.cli import main

if __name__ == "__main__":
    main()
