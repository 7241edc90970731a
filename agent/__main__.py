"""`python -m deskbench.agent` is the command `deskbench`."""

from deskbench.agent.cli.main import main

if __name__ == "__main__":
    main()
