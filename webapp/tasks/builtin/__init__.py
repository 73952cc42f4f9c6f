"""The tasks that come with Carillon, one module for each kind. Their docstrings are the help of their forms."""
