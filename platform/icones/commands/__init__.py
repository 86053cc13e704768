"""The commands behind ``icones``, by what they are about."""
