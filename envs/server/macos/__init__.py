"""The desktop of macOS: Quartz and Accessibility through PyObjC, as Apple documents them. Not run on a Mac yet."""
