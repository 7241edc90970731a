"""What metrics share: matching, bounds for hostile files, differences to OSWorld, reasons."""
