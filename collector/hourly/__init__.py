"""Files that a service writes to S3 hour by hour: listed again while they fill, each read once."""
