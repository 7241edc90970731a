"""What a run leaves on disk: its folder, the records of its episodes, and the ledger of its attempts."""
