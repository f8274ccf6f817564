"""What is known of an address without asking anybody: whose network it is, and what for."""
