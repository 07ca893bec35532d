"""The engine of array programs, by NumPy on the unit's memory."""
