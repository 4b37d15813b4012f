"""What is credited? Responses cut into tokens, words, spans and sentences, and the tree over them."""
