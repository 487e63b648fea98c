"""`make watch-demo`: nibai on watch over the live model, with what is installed around it."""
