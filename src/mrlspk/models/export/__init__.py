"""Write encoders as graphs that run without this package."""
