"""What a call costs, side by side with what people use today."""
