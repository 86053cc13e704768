"""Drivers for the clock: syncing, embedding, training, predicting, and the nightly invariants."""
