"""The web in tasks: Chrome and its pages, Google Drive, and the detection of tasks that need the live web."""
