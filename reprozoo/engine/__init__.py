"""From a question to its answer: noise → map → store → measures → scores. Nothing is printed here."""
