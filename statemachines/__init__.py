"""What draws calls and holds a store against the model: machines, the checker, and the shrinker of what they find."""
