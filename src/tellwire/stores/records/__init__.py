"""Records of the model as rows of tables, and back."""
