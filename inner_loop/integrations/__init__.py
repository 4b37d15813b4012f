"""Our credit in other people's trainers, and those trainers as the inner loop of a study."""
