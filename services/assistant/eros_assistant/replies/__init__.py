"""An answer for each intent, from the library, the profiles and the night's work."""
