"""Measurements. Nothing here is part of the product, and nothing here is timed by the tests."""
