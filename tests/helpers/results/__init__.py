"""What an evaluation or a prediction leaves, made without one."""
