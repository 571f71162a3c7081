"""What the matcher learns from behaviour: the model's weights, each person's part, their price."""
