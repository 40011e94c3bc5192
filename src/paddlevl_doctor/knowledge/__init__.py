"""The typed, validated view of the data in matrix/ and patches/."""
