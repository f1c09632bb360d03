"""Many cases: from a folder of them to one that prediction takes."""
