"""Trainers of other publications' networks, to compare with."""
