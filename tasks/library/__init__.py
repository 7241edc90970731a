"""Task suites that come with deskbench, each a folder of JSON files."""
