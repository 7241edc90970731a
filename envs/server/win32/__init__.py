"""The desktop of Windows: GDI, SendInput and the window list through ctypes, as Microsoft documents them."""
