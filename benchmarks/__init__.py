"""The cost of a call, side by side with what people use today."""
