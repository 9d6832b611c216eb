"""Item text to embeddings: encoders and the content-addressed cache."""
