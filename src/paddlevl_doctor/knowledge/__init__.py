"""What is known: the typed, validated view of matrix/ and patches/."""
