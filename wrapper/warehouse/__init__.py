"""The warehouse: how it is reached, and what this project has there."""
