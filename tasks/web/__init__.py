"""The web in tasks: Chrome from outside, its pages, Google Drive, and which tasks need the live web."""
