"""What the lake holds of series: blocks, recorded pasts, running totals, newest minutes."""
