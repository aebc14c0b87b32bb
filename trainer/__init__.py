"""Model families, losses and the training loop: clips and labels in, checkpoints out."""
