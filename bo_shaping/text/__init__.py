"""Text for people: numbers in words, hidden characters made visible, HTML escaped, passwords starred out."""
