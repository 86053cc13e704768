"""Learning: what the libraries of active_learning are fed with, and what is done with their answers."""
