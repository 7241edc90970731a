"""What a run leaves on disk: its folder, the records of its episodes, the ledger of what it cost."""
