"""Measurements: ratios of parts to a floor, side by side in one run."""
