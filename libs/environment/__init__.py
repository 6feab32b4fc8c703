"""Sets up the checkout's .venv. Standard library only: it runs before anything is installed."""
