"""What a session costs a page: ours, and its peers, side by side."""
