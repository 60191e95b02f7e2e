"""Reading a table of images: its text and cells (text), which column is what (columns), labels from cells (labels)."""
