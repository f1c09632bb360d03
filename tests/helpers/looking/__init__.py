"""What is looked at: pages, pictures, a browser."""
