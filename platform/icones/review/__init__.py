"""Review tasks: which figure is asked of whom next, and why."""
