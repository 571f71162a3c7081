"""The assistant: light by day, prepared by night."""
