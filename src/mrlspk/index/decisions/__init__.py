"""Decide who a recording is: calibration of an index, decisions, and open-set evaluation."""
