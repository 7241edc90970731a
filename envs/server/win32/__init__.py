"""The desktop of Windows: GDI, SendInput, the window list, through ctypes; what Microsoft's documents promise."""
