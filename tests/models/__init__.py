"""The ground of the generated models, and the models themselves."""
