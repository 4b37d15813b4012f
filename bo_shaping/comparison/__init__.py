"""What studies have found, judged by trainings with fresh seeds, and ways to pay tokens set side by side."""
