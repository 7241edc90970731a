"""Task suites that come with deskbench; a folder of JSON files each."""
