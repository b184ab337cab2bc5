"""What there is: specs, cards, plugins, weights, data sets, and the recipes that they resolve to."""
