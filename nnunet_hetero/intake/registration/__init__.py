"""Rigid registration of the images of a case, and the judgement whether to believe it."""
