"""Commands on an installation."""
