"""Which clips and labels deserve trust: measures, weights, verdicts, and the tables that hold them."""
