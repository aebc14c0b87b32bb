"""Trust in clips and labels: measures, weights, verdicts, and the tables that hold them."""
