"""What one can do: one class a noun, one method a use case."""
