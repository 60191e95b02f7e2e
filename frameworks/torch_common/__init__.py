"""What every framework that computes with torch has in common. No framework of its own: it has no NAME."""
