"""Looking at clips and labels: finding them, pictures, recordings."""
