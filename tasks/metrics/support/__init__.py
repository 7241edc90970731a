"""What metrics share: matching, limits for hostile files, differences to OSWorld, reasons."""
