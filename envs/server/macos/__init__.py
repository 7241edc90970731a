"""The desktop of macOS: Quartz and Accessibility through PyObjC, as Apple's documents promise; not run on a Mac yet."""
