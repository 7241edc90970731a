"""Where the attempts of a run happen: in threads of this process, or on the nodes of a Ray cluster."""
