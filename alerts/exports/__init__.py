"""Rules in the language of other systems, for those who alert there."""
