"""The agents, one file each; `deskbench.agent.build` maps names to them."""
