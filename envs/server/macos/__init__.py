"""The desktop of macOS: Quartz and Accessibility through PyObjC. It follows Apple's documentation; no Mac ran it yet."""
