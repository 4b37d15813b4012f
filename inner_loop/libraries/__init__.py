"""What trainings use of other libraries beyond their public interface, each with the reason.

One module per library; its tests fail first when that library changes.
"""
