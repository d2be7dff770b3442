"""Which function of the library a golden file checks, and how."""
