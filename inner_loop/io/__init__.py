"""What comes in is checked, what goes out is whole: strict schemas, named functions, files replaced in one step."""
