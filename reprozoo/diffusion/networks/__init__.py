"""Network definitions that several model families share."""
