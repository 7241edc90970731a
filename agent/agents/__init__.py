"""The agents, one file each; names are looked up in `deskbench.agent.build`."""
