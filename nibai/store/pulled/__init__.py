"""What a source says when it is asked again, against what is stored: only the rest is added."""
