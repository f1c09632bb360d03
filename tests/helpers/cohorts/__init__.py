"""Cases as cohorts and hospitals have them, made in a moment."""
