"""The desired state as an administrator writes it: manifest, selectors, policy, hours."""
