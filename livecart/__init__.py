"""The live system: from a stream to one purchase card at the right moment. Knows the archive only over HTTP."""
